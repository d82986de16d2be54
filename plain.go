package occ

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"

	"gorm.io/gorm/clause"
)

// plain is how versions of any other type are compared, which somebody else makes: by equality.
type plain struct{ holder }

var errNoOrder = errors.New("nothing is known of how these versions go on")

func (p plain) next(context.Context, any) (any, error)    { return nil, errNoOrder }
func (p plain) nextInSQL(clause.Column) clause.Expression { return nil }
func (p plain) stored(version any) any                    { return version }
func (p plain) zeroInSQL() any                            { return nil }
func (p plain) isAhead(_, _ any) bool                     { return false }
func (p plain) equals(c clause.Column, v any) clause.Expression {
	return clause.Eq{Column: c, Value: v}
}

func (p plain) convert(version any) (any, error) {
	rv := open(version)
	if !rv.IsValid() || rv.Kind() != p.core.Kind() || !rv.CanConvert(p.core) {
		return nil, fmt.Errorf("%T does not fit %s", version, p.typ)
	}
	return p.hold(rv.Convert(p.core)), nil
}

func (p plain) isZero(version any) bool {
	rv := open(version)
	return !rv.IsValid() || rv.IsZero() || rv.Kind() == reflect.Slice && rv.Len() == 0
}

func (p plain) bind(version any) any {
	if valuer, ok := version.(driver.Valuer); ok {
		return valuer
	}
	if rv := open(version); rv.IsValid() {
		return rv.Interface()
	}
	return nil
}

func (p plain) isSame(a, b any) bool {
	m, n := open(a), open(b)
	if !m.IsValid() || !n.IsValid() {
		return m.IsValid() == n.IsValid()
	}
	if m.Kind() == reflect.Slice && m.Type().Elem().Kind() == reflect.Uint8 {
		return bytes.Equal(m.Bytes(), n.Bytes())
	}
	return reflect.DeepEqual(m.Interface(), n.Interface())
}
