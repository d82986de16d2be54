package kinds_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
)

// A payload is what Create, Updates or Save is given. The table of payloads has every shape of one that GORM takes, of the
// model's own type and of others.

// plainPart is the model of the control: the same columns without a version, written by GORM without the plugin.
type plainPart struct{ Part }

func (plainPart) TableName() string { return "plain_parts" }

// partForm is another struct on the table, such as a form or a message is decoded into.
type partForm struct {
	ID    uint
	Name  string
	Price int
}

// versionedForm is one that brings the version that it was made from.
type versionedForm[V any] struct {
	ID      uint
	Name    string
	Price   int
	Version V
}

// content is what a payload says of one row. An ID of 0 is left to the database.
type content struct {
	id      uint
	name    string
	price   int
	version reflect.Value // invalid: the payload does not say it
}

// side is one of the two that a call is made for: the versioned model, or the control.
type side struct {
	db    *gorm.DB
	table string
	model reflect.Type
	form  reflect.Type // a struct of another type
	// takesVersion says that the version is a column, which a map can name
	takesVersion bool
}

// element is what a payload consists of.
type element string

const (
	ofModel element = "model"
	ofForm  element = "another struct"
	ofMap   element = "map"
)

// shape is a way to hand over elements.
type shape struct {
	element
	isSlice, ofPointers, isPointer bool
}

func shapes() (all []shape) {
	for _, of := range []element{ofModel, ofForm, ofMap} {
		for _, isPointer := range []bool{false, true} {
			all = append(all, shape{of, false, false, isPointer}, shape{of, true, false, isPointer})
			if of != ofMap {
				all = append(all, shape{of, true, true, isPointer})
			}
		}
	}
	return all
}

func (s shape) String() string {
	name := string(s.element)
	if s.ofPointers {
		name = "*" + name
	}
	if s.isSlice {
		name = "[]" + name
	}
	if s.isPointer {
		name = "*" + name
	}
	return name
}

// build makes the payload of a shape.
func (s shape) build(of side, rows []content) any {
	var elements []reflect.Value
	for _, row := range rows {
		elements = append(elements, s.buildElement(of, row))
	}
	payload := elements[0]
	if s.isSlice {
		typ := payload.Type()
		if s.ofPointers {
			typ = reflect.PointerTo(typ)
		}
		payload = reflect.MakeSlice(reflect.SliceOf(typ), 0, len(elements))
		for _, e := range elements {
			if s.ofPointers {
				e = pointerTo(e)
			}
			payload = reflect.Append(payload, e)
		}
	}
	if s.isPointer {
		payload = pointerTo(payload)
	}
	return payload.Interface()
}

func pointerTo(v reflect.Value) reflect.Value {
	pointer := reflect.New(v.Type())
	pointer.Elem().Set(v)
	return pointer
}

func (s shape) buildElement(of side, row content) reflect.Value {
	if s.element == ofMap {
		values := map[string]any{"name": row.name, "price": row.price}
		if row.id != 0 {
			values["id"] = row.id
		}
		if row.version.IsValid() && of.takesVersion {
			values["version"] = row.version.Interface()
		}
		return reflect.ValueOf(values)
	}
	typ := of.model
	if s.element == ofForm {
		typ = of.form
	}
	e := reflect.New(typ).Elem()
	e.FieldByName("ID").SetUint(uint64(row.id))
	e.FieldByName("Name").SetString(row.name)
	e.FieldByName("Price").SetInt(int64(row.price))
	if version := e.FieldByName("Version"); version.IsValid() && row.version.IsValid() {
		version.Set(row.version.Convert(version.Type()))
	}
	return e
}

// elementsOf returns the elements of a payload.
func elementsOf(payload any) (elements []reflect.Value) {
	rv := reflect.Indirect(reflect.ValueOf(payload))
	if rv.Kind() != reflect.Slice {
		return []reflect.Value{rv}
	}
	for i := range rv.Len() {
		elements = append(elements, reflect.Indirect(rv.Index(i)))
	}
	return elements
}

// shownPayload is what a payload holds, but for versions, and for which keys the database has given.
func shownPayload(payload any) (shown []string) {
	for _, e := range elementsOf(payload) {
		if e.Kind() == reflect.Map {
			var columns []string
			for name, value := range e.Interface().(map[string]any) {
				if strings.EqualFold(strings.TrimPrefix(name, "@"), "id") {
					value = shownKey(reflect.ValueOf(value))
				}
				if name != "version" {
					columns = append(columns, fmt.Sprintf("%s=%v", name, value))
				}
			}
			slices.Sort(columns)
			shown = append(shown, fmt.Sprint(columns))
			continue
		}
		shown = append(shown, fmt.Sprintf("%s %v %v", shownKey(e.FieldByName("ID")), e.FieldByName("Name"), e.FieldByName("Price")))
	}
	return shown
}

// shownKey is a key by its name in the table of payloads.
func shownKey(id reflect.Value) string {
	n := uint(0)
	switch {
	case id.CanUint():
		n = uint(id.Uint())
	case id.CanInt():
		n = uint(id.Int())
	default:
		return fmt.Sprint(id)
	}
	if n != 0 && n != firstID && n != secondID && n != newID {
		return "generated"
	}
	return fmt.Sprint(n)
}
