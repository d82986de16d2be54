package rows

import (
	"bytes"
	"cmp"
	"database/sql/driver"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// InKeyOrder gives rows in the order of their keys, whatever order they were passed in: transactions that lock the same rows
// in the same order do not deadlock. Any order does that is the same for all of them.
func InKeyOrder(rows []*Row) []*Row {
	if slices.IsSortedFunc(rows, compareRows) {
		return rows
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, compareRows)
	return rows
}

// AreInOrder reports whether the key of each row is a number or text, and greater than that of the row before: then no two of them
// are the same row.
func AreInOrder(rows []*Row) bool {
	for i, r := range rows {
		if len(r.Key) == 0 || slices.ContainsFunc(r.Key, isNotPlain) || i > 0 && compareRows(rows[i-1], r) >= 0 {
			return false
		}
	}
	return true
}

// isNotPlain reports whether what is stored of a part of a key may be the same for two that differ.
func isNotPlain(part any) bool {
	if _, ok := part.(driver.Valuer); ok {
		return true
	}
	rv := reflect.ValueOf(part)
	return !rv.CanInt() && !rv.CanUint() && rv.Kind() != reflect.String
}

func compareRows(a, b *Row) int { return slices.CompareFunc(a.Key, b.Key, CompareKeyParts) }

// CompareKeyParts compares parts of keys as the fields of models hold them: numbers and times as such, what is stored as
// text or bytes byte by byte.
func CompareKeyParts(a, b any) int {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	switch {
	case !x.IsValid() || !y.IsValid():
		return cmp.Compare(boolInt(x.IsValid()), boolInt(y.IsValid()))
	case x.CanInt() && y.CanInt():
		return cmp.Compare(x.Int(), y.Int())
	case x.CanUint() && y.CanUint():
		return cmp.Compare(x.Uint(), y.Uint())
	case x.Kind() == reflect.String && y.Kind() == reflect.String:
		return strings.Compare(x.String(), y.String())
	case x.Kind() == reflect.Pointer && y.Kind() == reflect.Pointer:
		if x.IsNil() || y.IsNil() {
			return cmp.Compare(boolInt(!x.IsNil()), boolInt(!y.IsNil()))
		}
		return CompareKeyParts(x.Elem().Interface(), y.Elem().Interface())
	}
	return compareStored(a, b)
}

// compareStored compares what is none of Go's plain kinds by what is stored of it.
func compareStored(a, b any) int {
	a, b = storedKeyPart(a), storedKeyPart(b)
	if x, ok := a.(time.Time); ok {
		if y, ok := b.(time.Time); ok {
			return x.Compare(y)
		}
	}
	if x, ok := a.([]byte); ok {
		if y, ok := b.([]byte); ok {
			return bytes.Compare(x, y)
		}
	}
	return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
}

func storedKeyPart(part any) any {
	if valuer, ok := part.(driver.Valuer); ok {
		if value, err := valuer.Value(); err == nil {
			return value
		}
	}
	return part
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
