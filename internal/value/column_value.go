package value

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/json"
	"io"
	"math/big"
	"reflect"
	"strings"
	"time"

	"gorm.io/gorm/schema"
)

// Column is a field of a model that is stored in a column of its own.
type Column struct{ *schema.Field }

// In is the column's value in a model, as the field holds it; not valid in an embedded struct that is a nil pointer,
// whose columns are NULL. GORM's ReflectValueOf would make that struct, and its ValueOf hides what is serialized.
func (c Column) In(model reflect.Value) reflect.Value {
	value, ok := At(model, c.StructField.Index)
	if !ok {
		return reflect.Value{}
	}
	return value
}

// At follows a path of fields, where -i-1 is the embedded pointer at i; ok is false where one is nil.
func At(model reflect.Value, path []int) (field reflect.Value, ok bool) {
	for _, i := range path {
		if i >= 0 {
			model = model.Field(i)
			continue
		}
		if model = model.Field(-i - 1); model.IsNil() {
			return model, false
		}
		model = model.Elem()
	}
	return model, true
}

// Value is what a caller gets to see of the column: nil where there is none.
func (c Column) Value(model reflect.Value) any {
	if rv := c.In(model); rv.IsValid() {
		return rv.Interface()
	}
	return nil
}

// IsSame reports whether two models have the same in the column, as the database compares it. Times are compared as instants, JSON
// and decimals by what they mean, serialized fields by what is stored. NULL is not the same as a zero value.
func (c Column) IsSame(ctx context.Context, a, b reflect.Value) bool {
	x, y := c.In(a), c.In(b)
	if x.IsValid() && y.IsValid() && reflect.DeepEqual(x.Interface(), y.Interface()) {
		return true
	}
	if c.Serializer != nil {
		return isSameSent(c.serialized(ctx, a), c.serialized(ctx, b))
	}
	p, q := AsSent(x), AsSent(y)
	return isSameSent(p, q) || c.isJSON() && isSameJSON(p, q) || c.isDecimal() && isSameDecimal(p, q)
}

// serialized is what a serializer makes of the field, or the field itself where it fails.
func (c Column) serialized(ctx context.Context, model reflect.Value) any {
	if !c.In(model).IsValid() {
		return nil
	}
	value, _ := c.ValueOf(ctx, model)
	valuer, ok := value.(driver.Valuer)
	if !ok {
		return value
	}
	serialized, err := valuer.Value()
	if err != nil {
		return c.Value(model)
	}
	return AsSent(reflect.ValueOf(serialized))
}

func (c Column) isJSON() bool {
	return c.IndirectFieldType == reflect.TypeFor[json.RawMessage]() || strings.HasPrefix(strings.ToLower(string(c.DataType)), "json")
}

func (c Column) isDecimal() bool {
	typ := strings.ToLower(string(c.DataType))
	return strings.HasPrefix(typ, "decimal") || strings.HasPrefix(typ, "numeric")
}

// AsSent reduces a field's value to what is sent to the database: nil for NULL, numbers, text, bytes and times without
// the names of their types. Whatever else there is stays as it is.
func AsSent(rv reflect.Value) any {
	for rv.IsValid() {
		if rv.Kind() == reflect.Pointer && rv.IsNil() {
			return nil
		}
		if valuer, ok := valuerIn(rv); ok {
			if value, err := valuer.Value(); err == nil {
				return bare(reflect.ValueOf(value))
			}
		}
		if rv.Kind() != reflect.Pointer {
			break
		}
		rv = rv.Elem()
	}
	return bare(rv)
}

// valuerIn finds the Value method of a value, also where only its pointer has it.
func valuerIn(rv reflect.Value) (driver.Valuer, bool) {
	if valuer, ok := rv.Interface().(driver.Valuer); ok {
		return valuer, true
	}
	pointer := reflect.New(rv.Type())
	pointer.Elem().Set(rv)
	valuer, ok := pointer.Interface().(driver.Valuer)
	return valuer, ok
}

func bare(rv reflect.Value) any {
	switch {
	case !rv.IsValid():
		return nil
	case rv.CanInt():
		return rv.Int()
	case rv.CanUint():
		return rv.Uint()
	case rv.CanFloat():
		return rv.Float()
	case rv.Kind() == reflect.String:
		return rv.String()
	case rv.Kind() == reflect.Slice && rv.Type().Elem().Kind() == reflect.Uint8:
		if rv.IsNil() {
			return nil
		}
		return rv.Bytes()
	case rv.Kind() == reflect.Struct && rv.Type().ConvertibleTo(TimeType):
		return rv.Convert(TimeType).Interface()
	}
	return rv.Interface()
}

func isSameSent(a, b any) bool {
	switch x := a.(type) {
	case time.Time:
		y, ok := b.(time.Time)
		return ok && x.Equal(y)
	case float64:
		y, ok := b.(float64)
		return ok && (x == y || x != x && y != y) // NaN is what it was
	}
	return reflect.DeepEqual(a, b)
}

// isSameJSON compares what two JSON texts say: databases store them with other spaces and another order of keys.
func isSameJSON(a, b any) bool {
	x, okX := textOf(a)
	y, okY := textOf(b)
	if !okX || !okY {
		return false
	}
	v, errV := decodeJSON(x)
	w, errW := decodeJSON(y)
	return errV == nil && errW == nil && reflect.DeepEqual(v, w)
}

func decodeJSON(text string) (value any, err error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber() // a float64 would take two large integers for the same
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, io.ErrUnexpectedEOF
	}
	return value, nil
}

// isSameDecimal compares two numbers that a driver passes as text: 2.5 is 2.50.
func isSameDecimal(a, b any) bool {
	x, okX := textOf(a)
	y, okY := textOf(b)
	if !okX || !okY || len(x) > maxDecimal || len(y) > maxDecimal || strings.ContainsAny(x+y, "eEpP/_") {
		return false
	}
	m, okM := new(big.Rat).SetString(x)
	n, okN := new(big.Rat).SetString(y)
	return okM && okN && m.Cmp(n) == 0
}

const maxDecimal = 200 // digits: more than any database's

func textOf(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case []byte:
		return string(bytes.TrimSpace(v)), true
	}
	return "", false
}

// Clone copies what a value refers to, so that changing the copy leaves the original alone. What a type keeps in
// unexported fields is shared, as it is by an assignment: only the type itself could copy that.
func Clone(rv reflect.Value) reflect.Value { return cloner{}.clone(rv) }

// cloner has the copies of what it met, since a value may refer to itself.
type cloner map[reference]reflect.Value

type reference struct {
	typ  reflect.Type
	at   uintptr
	size int
}

func (c cloner) clone(rv reflect.Value) reflect.Value {
	switch rv.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if rv.IsNil() || rv.Kind() == reflect.Pointer && isOpaque(rv.Type().Elem()) {
			return rv
		}
		return c.cloneReference(rv)
	case reflect.Interface:
		if !rv.IsNil() {
			return c.clone(rv.Elem())
		}
	case reflect.Array:
		copied := reflect.New(rv.Type()).Elem()
		c.cloneElements(copied, rv)
		return copied
	case reflect.Struct:
		return c.cloneStruct(rv)
	}
	return rv
}

func (c cloner) cloneReference(rv reflect.Value) reflect.Value {
	ref := reference{typ: rv.Type(), at: rv.Pointer()}
	if rv.Kind() == reflect.Slice {
		ref.size = rv.Len()
	}
	if copied, ok := c[ref]; ok {
		return copied
	}
	switch rv.Kind() {
	case reflect.Pointer:
		copied := reflect.New(rv.Type().Elem())
		c[ref] = copied.Convert(rv.Type())
		copied.Elem().Set(c.clone(rv.Elem()))
	case reflect.Map:
		c[ref] = reflect.MakeMapWithSize(rv.Type(), rv.Len())
		for key, value := range rv.Seq2() {
			c[ref].SetMapIndex(key, c.clone(value))
		}
	case reflect.Slice:
		c[ref] = reflect.MakeSlice(rv.Type(), rv.Len(), rv.Len())
		c.cloneElements(c[ref], rv)
	}
	return c[ref]
}

// isOpaque reports whether a type must not be copied without its knowledge, as math/big's and sync's say of themselves.
func isOpaque(t reflect.Type) bool {
	if t.Kind() != reflect.Struct || t == TimeType {
		return false
	}
	for i := range t.NumField() {
		if !t.Field(i).IsExported() {
			return true
		}
	}
	return false
}

func (c cloner) cloneElements(copied, rv reflect.Value) {
	if rv.Type().Elem().Kind() == reflect.Uint8 {
		reflect.Copy(copied, rv)
		return
	}
	for i := range rv.Len() {
		copied.Index(i).Set(c.clone(rv.Index(i)))
	}
}

func (c cloner) cloneStruct(rv reflect.Value) reflect.Value {
	copied := reflect.New(rv.Type()).Elem()
	copied.Set(rv)
	if rv.Type() == TimeType {
		return copied
	}
	for i := range rv.NumField() {
		if rv.Type().Field(i).IsExported() {
			copied.Field(i).Set(c.clone(rv.Field(i)))
		}
	}
	return copied
}

// Detach gives merged a value of its own for a column that it was given by assignment, with the embedded structs on the
// way to it.
func (c Column) Detach(merged, theirs reflect.Value) {
	for _, i := range c.StructField.Index {
		if i >= 0 {
			merged, theirs = merged.Field(i), theirs.Field(i)
			continue
		}
		merged, theirs = merged.Field(-i-1), theirs.Field(-i-1)
		if theirs.IsNil() {
			return
		}
		if merged.Pointer() == theirs.Pointer() {
			own := reflect.New(theirs.Type().Elem())
			own.Elem().Set(theirs.Elem())
			merged.Set(own)
		}
		merged, theirs = merged.Elem(), theirs.Elem()
	}
	merged.Set(Clone(theirs))
}

// Put sets the column to a copy of value. A value that is not valid is NULL.
func (c Column) Put(model, value reflect.Value) {
	field := c.ReflectValueOf(context.Background(), model)
	if value.IsValid() {
		field.Set(Clone(value))
		return
	}
	field.SetZero()
}
