package kind

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/gorm-occ/occ/internal/dialect"
)

// A column may hold less than the model says: a table that was made by hand, or by an older model, has a smallint for an int,
// or whole seconds for microseconds. Where the next version depends on that, the database is asked.

// DependsOnColumn reports whether the version after current may be another one in a column that holds less than the model says;
// inSQL, that after whichever version a row has.
func DependsOnColumn(k Kind, d *dialect.Dialect, current any, inSQL bool) bool {
	if !d.LimitsColumns {
		return false
	}
	switch k := k.(type) {
	case Counter:
		return inSQL || k.isLastOfColumn(current)
	case Clock:
		return true
	case Generated:
		return d.CutsText && k.isText()
	}
	return false
}

// MayBeSame reports whether two versions that differ are the same one in a column that holds text otherwise than the model says.
func MayBeSame(d *dialect.Dialect, a, b any) bool {
	s, okA := textIn(a)
	t, okB := textIn(b)
	return okA && okB && d.PadsText("char") && strings.TrimRight(s, " ") == strings.TrimRight(t, " ")
}

// InColumn is a kind whose next versions fit a column of the type that the database has.
func InColumn(k Kind, d *dialect.Dialect, columnType string) Kind {
	switch k := k.(type) {
	case Counter:
		if last := d.LastInteger(columnType); last < k.Last {
			k.Last = last
			k.nextSQL = k.sqlOfNext()
		}
		return k
	case Clock:
		if d.HoldsTimes(columnType) {
			k.column, k.Unit = columnType, max(k.Unit, unitOf(d.TimeDigits(columnType)))
		}
		return k
	case Random:
		k.pads = d.PadsText(columnType)
		return k
	case Generated:
		k.Kind = InColumn(k.Kind, d, columnType)
		return limited{k, d.MaxLength(columnType), columnType}
	}
	return k
}

// isLastOfColumn reports whether a version is the last one that some type of column holds.
func (c Counter) isLastOfColumn(version any) bool {
	n, err := c.decode(version)
	if err != nil || n == c.Last {
		return false
	}
	switch n {
	case 1<<7 - 1, 1<<8 - 1, 1<<15 - 1, 1<<16 - 1, 1<<23 - 1, 1<<24 - 1, 1<<31 - 1, 1<<32 - 1, 1<<63 - 1:
		return true
	}
	return false
}

func (g Generated) isText() bool { return holderOf(g.typ).core.Kind() == reflect.String }

// limited refuses versions that the database would cut off, and then take two of them for the same.
type limited struct {
	Generated
	limit  int
	column string
}

func (l limited) Next(ctx context.Context, current any) (any, error) {
	next, err := l.Generated.Next(ctx, current)
	if text, ok := textIn(next); err == nil && ok && utf8.RuneCountInString(text) > l.limit {
		return nil, fmt.Errorf("the generator %q returned %q, which a column of type %s does not hold", l.Name, text, l.column)
	}
	return next, err
}
