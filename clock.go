package occ

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/dialect"
)

// clock is the kind of version that is the time of the write. The next one is always later than the row's, by one unit of
// the column's precision at least, whatever the clock says. Its values are in UTC and hold what the column can store.
type clock struct {
	holder
	column  string // its type
	unit    time.Duration
	now     func() time.Time
	dialect dialect.Dialect
}

var timeType = reflect.TypeFor[time.Time]()

func (p *kinds) newClock(field *schema.Field) (clock, bool) {
	h := holderOf(field.FieldType)
	if h.core != timeType {
		return clock{}, false
	}
	column := p.columnType(field)
	digits := p.dialect.TimeDigits(column)
	if _, tagged := field.TagSettings["PRECISION"]; tagged {
		digits = min(digits, max(field.Precision, 0))
	}
	return clock{holder: h, column: column, unit: unitOf(digits), now: p.now, dialect: *p.dialect}, true
}

func unitOf(digits int) time.Duration {
	return time.Second / time.Duration(math.Pow10(min(digits, 9)))
}

func (c clock) next(_ context.Context, current any) (any, error) {
	now := c.now().UTC().Truncate(c.unit)
	if before, ok := timeIn(current); ok && !now.After(before) {
		now = before.UTC().Truncate(c.unit).Add(c.unit)
	}
	return c.hold(reflect.ValueOf(now)), nil
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

func (c clock) convert(version any) (any, error) {
	if t, ok := timeIn(version); ok {
		return c.hold(reflect.ValueOf(t)), nil
	}
	if text, ok := textIn(version); ok {
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return nil, fmt.Errorf("%q is no time: %w", text, err)
		}
		return c.hold(reflect.ValueOf(t)), nil
	}
	return nil, fmt.Errorf("%T does not fit %s", version, c.typ)
}

func (c clock) isZero(version any) bool {
	t, ok := timeIn(version)
	return !ok || t.IsZero()
}

// nextInSQL goes by the clock of the application too: the database's may be another one.
func (c clock) nextInSQL(column clause.Column) clause.Expression {
	return c.dialect.NextTime(column, c.now().UTC().Truncate(c.unit), c.column, c.unit)
}

// nextInTrigger goes by the clock of the database, the only one there.
func (c clock) nextInTrigger(column clause.Column) clause.Expression {
	return c.dialect.NextTime(column, nil, c.column, c.unit)
}

// bind strips the monotonic reading too, which a driver may write.
func (c clock) bind(version any) any {
	t, ok := timeIn(version)
	if !ok {
		return nil
	}
	return t.Round(0).UTC()
}

func (c clock) stored(version any) any {
	t, ok := timeIn(version)
	if !ok {
		return version
	}
	return c.hold(reflect.ValueOf(t.UTC().Truncate(c.unit)))
}

func (c clock) equals(column clause.Column, value any) clause.Expression {
	return c.dialect.SameTime(column, value)
}

func (c clock) zeroInSQL() any { return time.Time{} }

func (c clock) isSame(a, b any) bool {
	s, okA := timeIn(a)
	t, okB := timeIn(b)
	return okA == okB && s.Equal(t)
}

func (c clock) isAhead(a, b any) bool {
	s, _ := timeIn(a)
	t, _ := timeIn(b)
	return s.After(t)
}

// format writes the instant as RFC 3339 in UTC, with the digits of the column. A time that holds more than the column is
// written with all of them.
func (c clock) format(version any) (string, bool) {
	t, ok := timeIn(version)
	if !ok {
		return "", false
	}
	t = t.UTC()
	digits := 0
	for unit := time.Second; unit > c.unit || !t.Truncate(unit).Equal(t); unit /= 10 {
		digits++
	}
	layout := "2006-01-02T15:04:05"
	if digits > 0 {
		layout += "." + strings.Repeat("0", digits)
	}
	return t.Format(layout) + "Z", true
}

func (c clock) parse(text string) (any, bool) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return nil, false
	}
	return c.hold(reflect.ValueOf(t.UTC())), true
}
