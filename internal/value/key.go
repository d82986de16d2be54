package value

import (
	"context"
	"database/sql/driver"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"gorm.io/gorm/schema"
)

// KeyOfModel returns a text that is different for each row; it is empty for a model that names none.
func KeyOfModel(ctx context.Context, s *schema.Schema, model reflect.Value) string {
	isSet := slices.ContainsFunc(s.PrimaryFields, func(field *schema.Field) bool {
		_, isZero := field.ValueOf(ctx, model)
		return !isZero
	})
	if !isSet {
		return ""
	}
	return KeyTextOf(ctx, s.PrimaryFields, model)
}

// KeyTextOf returns a text that is different for models that differ in the values of fields.
func KeyTextOf(ctx context.Context, fields []*schema.Field, model reflect.Value) string {
	key := make([]any, len(fields))
	for i, field := range fields {
		key[i], _ = field.ValueOf(ctx, model)
	}
	return KeyText(key)
}

// KeyText returns a text that is different for each key; parts of a key come as the fields of the model hold them.
func KeyText(key []any) string {
	text := make([]byte, 0, 32)
	for _, part := range key {
		text = append(appendKeyPart(text, part), ';')
	}
	return string(text)
}

func appendKeyPart(text []byte, part any) []byte {
	rv := reflect.ValueOf(part)
	if isNil := rv.Kind() == reflect.Pointer && rv.IsNil(); isNil {
		return append(text, "NULL"...)
	}
	if valuer, ok := part.(driver.Valuer); ok {
		if value, err := valuer.Value(); err == nil {
			part, rv = value, reflect.ValueOf(value)
		}
	}
	if at, ok := part.(time.Time); ok {
		return fmt.Appendf(text, "%d.%d", at.Unix(), at.Nanosecond())
	}
	switch {
	case rv.CanInt():
		return strconv.AppendInt(text, rv.Int(), 10)
	case rv.CanUint():
		return strconv.AppendUint(text, rv.Uint(), 10)
	case rv.Kind() == reflect.String:
		return strconv.AppendQuote(text, rv.String())
	case rv.Kind() == reflect.Pointer:
		return appendKeyPart(text, rv.Elem().Interface())
	}
	return fmt.Appendf(text, "%v", part)
}
