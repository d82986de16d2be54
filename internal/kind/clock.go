package kind

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/value"
)

// Clock is the kind of version that is the time of the write. The next one is always later than the row's, by one unit of
// the column's precision at least, whatever the clock says. Its values are in UTC and hold what the column can store.
type Clock struct {
	holder
	column  string // its type
	Unit    time.Duration
	now     func() time.Time
	dialect dialect.Dialect
	zone    *time.Location // in which the driver writes times without their offset; nil where that is UTC
}

// InZone is the clock as it makes versions for a driver that writes times of a zone; nil is UTC.
func (c Clock) InZone(zone *time.Location) Clock {
	c.zone = zone
	return c
}

func (k *Kinds) clockOf(version *Field) (Kind, error) {
	clock, serves := k.newClock(version.Field)
	switch {
	case !serves:
		return nil, nil
	case clock.column == "date":
		return nil, errors.New("a column of type date holds no time of day: use another type")
	}
	return clock, nil
}

func (k *Kinds) newClock(field *schema.Field) (Clock, bool) {
	h := holderOf(field.FieldType)
	if h.core != value.TimeType {
		return Clock{}, false
	}
	column := k.ColumnType(field)
	digits := k.Dialect.TimeDigits(column)
	if _, tagged := field.TagSettings["PRECISION"]; tagged {
		digits = min(digits, max(field.Precision, 0))
	}
	return Clock{holder: h, column: column, Unit: unitOf(digits), now: k.Now, dialect: *k.Dialect}, true
}

func unitOf(digits int) time.Duration {
	return time.Second / time.Duration(math.Pow10(min(digits, 9)))
}

func (c Clock) Next(_ context.Context, current any) (any, error) {
	now := c.now().UTC().Truncate(c.Unit)
	if before, ok := timeIn(current); ok {
		now = c.later(now, before)
	}
	return c.Stored(c.hold(reflect.ValueOf(now))), nil
}

// later is now, or the next time that the column distinguishes from before.
func (c Clock) later(now, before time.Time) time.Time {
	if now.After(before) && c.reads(now).After(c.reads(before)) {
		return now
	}
	before = before.UTC().Truncate(c.Unit)
	next := before.Add(c.Unit)
	if !c.reads(next).After(c.reads(before)) { // clocks go back
		return c.at(c.reads(before).Add(c.Unit))
	}
	return next
}

// reads is what a clock in the zone of the connection reads at a time, as if it stood in UTC: all that the column holds of it.
func (c Clock) reads(t time.Time) time.Time {
	if c.zone == nil {
		return t.UTC()
	}
	_, offset := t.In(c.zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// at is the time that the driver makes of what the clock reads. Where clocks go back, two times read the same.
func (c Clock) at(reads time.Time) time.Time {
	if c.zone == nil {
		return reads
	}
	hour, minute, second := reads.Clock()
	return time.Date(reads.Year(), reads.Month(), reads.Day(), hour, minute, second, reads.Nanosecond(), c.zone).UTC()
}

// timeIn is the time in a version; none where that is NULL.
func timeIn(version any) (time.Time, bool) {
	if t, ok := version.(time.Time); ok {
		return t, true
	}
	rv := open(version)
	if !rv.IsValid() || !rv.CanInterface() {
		return time.Time{}, false
	}
	t, ok := rv.Interface().(time.Time)
	return t, ok
}

func (c Clock) Convert(version any) (any, error) {
	if t, ok := timeIn(version); ok {
		return c.hold(reflect.ValueOf(t)), nil
	}
	if text, ok := textIn(version); ok {
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a time: %w", text, err)
		}
		return c.hold(reflect.ValueOf(t)), nil
	}
	return nil, fmt.Errorf("%T does not fit %s", version, c.typ)
}

func (c Clock) IsZero(version any) bool {
	t, ok := timeIn(version)
	return !ok || t.IsZero()
}

// NextInSQL goes by the clock of the application too: the database's may be another one.
func (c Clock) NextInSQL(column clause.Column) clause.Expression {
	return c.dialect.NextTime(column, c.now().UTC().Truncate(c.Unit), c.column, c.Unit)
}

// NextInTrigger goes by the clock of the database, the only one there.
func (c Clock) NextInTrigger(column clause.Column) clause.Expression {
	return c.dialect.NextTime(column, nil, c.column, c.Unit)
}

// Bind strips the monotonic reading too, which a driver may write.
func (c Clock) Bind(version any) any {
	t, ok := timeIn(version)
	if !ok {
		return nil
	}
	return t.Round(0).UTC()
}

func (c Clock) Stored(version any) any {
	t, ok := timeIn(version)
	if !ok {
		return version
	}
	return c.hold(reflect.ValueOf(c.at(c.reads(t.Truncate(c.Unit)))))
}

func (c Clock) Equals(column clause.Column, value any) clause.Expression {
	return c.dialect.SameTime(column, value)
}

func (c Clock) ZeroInSQL() any { return time.Time{} }

func (c Clock) IsSame(a, b any) bool {
	s, okA := timeIn(a)
	t, okB := timeIn(b)
	return okA == okB && c.reads(s).Equal(c.reads(t))
}

func (c Clock) IsAhead(a, b any) bool {
	s, _ := timeIn(a)
	t, _ := timeIn(b)
	return c.reads(s).After(c.reads(t))
}

// Format writes the instant as RFC 3339 in UTC, with the digits of the column. A time that holds more than the column is
// written with all of them.
func (c Clock) Format(version any) (string, bool) {
	t, ok := timeIn(version)
	if !ok {
		return "", false
	}
	t = t.UTC()
	digits := 0
	for unit := time.Second; unit > c.Unit || !t.Truncate(unit).Equal(t); unit /= 10 {
		digits++
	}
	layout := "2006-01-02T15:04:05"
	if digits > 0 {
		layout += "." + strings.Repeat("0", digits)
	}
	return t.Format(layout) + "Z", true
}

func (c Clock) Parse(text string) (any, bool) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return nil, false
	}
	return c.hold(reflect.ValueOf(t.UTC())), true
}
