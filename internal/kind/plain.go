package kind

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/value"
)

// plain is how versions of any other type are compared, which somebody else makes: by equality.
type plain struct{ holder }

var errNoOrder = errors.New("nothing is known of how these versions go on")

func (p plain) Next(context.Context, any) (any, error) { return nil, errNoOrder }

func (p plain) NextInSQL(clause.Column) clause.Expression { return nil }

func (p plain) Stored(version any) any { return version }

func (p plain) ZeroInSQL() any { return nil }

func (p plain) IsAhead(_, _ any) bool { return false }

func (p plain) Equals(c clause.Column, v any) clause.Expression {
	return clause.Eq{Column: c, Value: v}
}

func (p plain) Convert(version any) (any, error) {
	rv := open(version)
	if !rv.IsValid() || rv.Kind() != p.core.Kind() || !rv.CanConvert(p.core) {
		return nil, fmt.Errorf("%T does not fit %s", version, p.typ)
	}
	return p.hold(rv.Convert(p.core)), nil
}

func (p plain) IsZero(version any) bool {
	rv := open(version)
	return !rv.IsValid() || rv.IsZero() || rv.Kind() == reflect.Slice && rv.Len() == 0
}

func (p plain) Bind(version any) any {
	if valuer, ok := version.(driver.Valuer); ok {
		return valuer
	}
	if rv := open(version); rv.IsValid() {
		return rv.Interface()
	}
	return nil
}

func (p plain) IsSame(a, b any) bool {
	m, n := open(a), open(b)
	if !m.IsValid() || !n.IsValid() {
		return m.IsValid() == n.IsValid()
	}
	if m.Kind() == reflect.Slice && m.Type().Elem().Kind() == reflect.Uint8 {
		return bytes.Equal(m.Bytes(), n.Bytes())
	}
	return reflect.DeepEqual(m.Interface(), n.Interface())
}

// Format writes text and bytes escaped, and what the type's Value method gives of other types.
func (p plain) Format(version any) (string, bool) {
	switch sent := value.AsSent(reflect.ValueOf(version)).(type) {
	case string:
		return escape(sent), true
	case []byte:
		return escape(string(sent)), true
	case bool:
		return strconv.FormatBool(sent), true
	case int64:
		return strconv.FormatInt(sent, 10), true
	case float64:
		return strconv.FormatFloat(sent, 'g', -1, 64), true
	case time.Time:
		return sent.UTC().Format(time.RFC3339Nano), true
	}
	return "", false
}

// Parse reads the text as the driver would give it.
func (p plain) Parse(text string) (any, bool) {
	plainText, err := unescape(text)
	if err != nil {
		return nil, false
	}
	for _, sent := range formsOf(plainText) {
		if version, ok := p.scan(sent); ok {
			return version, true
		}
	}
	return nil, false
}

// formsOf are the values that a driver may give whose text this is, the likeliest of a column that says nothing else first.
func formsOf(text string) (forms []any) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		forms = append(forms, n)
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		forms = append(forms, f)
	}
	if b, err := strconv.ParseBool(text); err == nil {
		forms = append(forms, b)
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		forms = append(forms, t)
	}
	return append(forms, text, []byte(text))
}

// scan is what the field's type makes of a value of the driver's.
func (p plain) scan(sent any) (version any, ok bool) {
	target := reflect.New(p.core)
	if scanner, ok := target.Interface().(sql.Scanner); ok {
		if scanner.Scan(sent) != nil {
			return nil, false
		}
		return p.hold(target.Elem()), true
	}
	rv := reflect.ValueOf(sent)
	if isSame := rv.Kind() == p.core.Kind() || rv.CanFloat() && target.Elem().CanFloat(); !isSame || !rv.CanConvert(p.core) {
		return nil, false
	}
	return p.hold(rv.Convert(p.core)), true
}
