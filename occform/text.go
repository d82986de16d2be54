package occform

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

var timeType = reflect.TypeFor[time.Time]()

// layouts are those of datetime-local and date, with as many digits as a browser sends, and RFC 3339.
var layouts = []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02"}

// textOf is a value as an input shows it; ok is false for NULL.
func textOf(v reflect.Value) (text string, ok bool) {
	switch {
	case !v.IsValid():
		return "", false
	case isNullStruct(v.Type()):
		if !v.Field(1).Bool() {
			return "", false
		}
		return textOf(v.Field(0))
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			return "", false
		}
		return textOf(v.Elem())
	}
	if at, isTime := v.Interface().(time.Time); isTime {
		return at.Format(time.RFC3339Nano), true
	}
	if isText(v.Type()) {
		marshalled, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		return string(marshalled), err == nil
	}
	switch {
	case v.Kind() == reflect.String:
		return v.String(), true
	case v.CanFloat():
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits()), true
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10), true
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10), true
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool()), true
	}
	return fmt.Sprint(v.Interface()), true // only in a Conflict that a program has put together itself
}

// isSame reports whether two values are one for the person who sees them: instants in any zone, texts with any line ends, NULL
// apart from "".
func isSame(a, b reflect.Value) bool {
	aText, aOK := instantOrText(a)
	bText, bOK := instantOrText(b)
	return aOK == bOK && withLF(aText) == withLF(bText)
}

// differInLineEnds reports whether two values are texts that differ in their line ends and in nothing else.
func differInLineEnds(a, b reflect.Value) bool {
	aText, aOK := textOf(a)
	bText, bOK := textOf(b)
	return aOK && bOK && aText != bText && withLF(aText) == withLF(bText)
}

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// withLF returns a text with all line ends as LF. A browser sends each as CRLF, however the text that it shows has them.
func withLF(text string) string { return lineEnds.Replace(text) }

func instantOrText(v reflect.Value) (string, bool) {
	if at, ok := timeIn(v); ok {
		return at.UTC().Format(time.RFC3339Nano), true
	}
	return textOf(v)
}

// timeIn is the time that a value holds, below pointers and sql.Null.
func timeIn(v reflect.Value) (time.Time, bool) {
	for v.IsValid() {
		switch {
		case v.Type() == timeType:
			return v.Interface().(time.Time), true
		case v.Kind() == reflect.Pointer:
			v = v.Elem()
		case isNullStruct(v.Type()) && v.Field(1).Bool():
			v = v.Field(0)
		default:
			return time.Time{}, false
		}
	}
	return time.Time{}, false
}

// parseInput reads what an input sent. Base is the value that was shown: text that shows the same is the same value.
func parseInput(typ reflect.Type, text string, base reflect.Value) (reflect.Value, error) {
	text = withLF(text)
	if shown, _ := textOf(base); base.IsValid() && base.Type() == typ && withLF(shown) == text {
		return base, nil
	}
	return parseText(typ, text, base)
}

// parseText reads a value of a type as it is written. A time without a zone is in that of base, the value that was shown.
func parseText(typ reflect.Type, text string, base reflect.Value) (reflect.Value, error) {
	v := reflect.New(typ).Elem()
	switch {
	case isNullStruct(typ):
		if text == "" {
			return v, nil
		}
		inner, err := parseText(typ.Field(0).Type, text, within(base, 0))
		if err == nil {
			v.Field(0).Set(inner)
			v.Field(1).SetBool(true)
		}
		return v, err
	case typ.Kind() == reflect.Pointer:
		if text == "" {
			return v, nil
		}
		inner, err := parseText(typ.Elem(), text, within(base, -1))
		if err == nil {
			v.Set(reflect.New(typ.Elem()))
			v.Elem().Set(inner)
		}
		return v, err
	}
	return v, scan(v, text, base)
}

// within is the value in a pointer or sql.Null; not valid where that is NULL.
func within(v reflect.Value, field int) reflect.Value {
	switch {
	case !v.IsValid():
		return v
	case field < 0:
		return v.Elem()
	case !v.Field(1).Bool():
		return reflect.Value{}
	}
	return v.Field(field)
}

// scan sets v, which is neither a pointer nor an sql.Null.
func scan(v reflect.Value, text string, base reflect.Value) error {
	if v.Type() == timeType {
		shown, _ := timeIn(base)
		at, err := parseTime(strings.TrimSpace(text), shown)
		v.Set(reflect.ValueOf(at))
		return err
	}
	if isText(v.Type()) {
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			return &textError{err}
		}
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return nil
	case reflect.Bool:
		on, err := parseBool(strings.TrimSpace(text))
		v.SetBool(on)
		return err
	}
	return scanNumber(v, strings.TrimSpace(text))
}

// textError is an error of a type's UnmarshalText, which may repeat what was typed.
type textError struct{ err error }

const cannotBeRead = "cannot be read"

func (e *textError) Error() string { return cannotBeRead + ": " + e.err.Error() }

func (e *textError) Unwrap() error { return e.err }

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "on", "true", "1", "yes", "t":
		return true, nil
	case "", "off", "false", "0", "no", "f":
		return false, nil
	}
	return false, errors.New("is neither true nor false")
}

func scanNumber(v reflect.Value, text string) error {
	if text == "" {
		return errors.New("is empty: enter a number")
	}
	bits := v.Type().Bits()
	var err error
	switch {
	case v.CanInt():
		var n int64
		n, err = strconv.ParseInt(text, 10, bits)
		v.SetInt(n)
	case v.CanUint():
		var n uint64
		n, err = strconv.ParseUint(text, 10, bits)
		v.SetUint(n)
	default:
		var n float64
		n, err = strconv.ParseFloat(text, bits)
		if err == nil && (math.IsNaN(n) || math.IsInf(n, 0)) {
			err = strconv.ErrSyntax
		}
		v.SetFloat(n)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, strconv.ErrRange):
		return errors.New("is out of range")
	case v.CanFloat():
		return errors.New("is not a number")
	case v.CanUint():
		return errors.New("is not a whole number from 0 on")
	}
	return errors.New("is not a whole number")
}

// parseTime reads a time in the zone of the one that was shown, which it returns where text shows nothing else.
func parseTime(text string, shown time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at, nil
	}
	zone := zoneOf(shown)
	for _, layout := range layouts {
		at, err := time.ParseInLocation(layout, text, zone)
		if err != nil {
			continue
		}
		if shown.Format(layout) == text {
			return shown, nil
		}
		return at, nil
	}
	return time.Time{}, errors.New("is not a date or time, as in 2006-01-02 or 2006-01-02T15:04")
}

// zoneOf is time.Local if it had the offset of a time then, so that summer time is known, or else that fixed offset.
func zoneOf(shown time.Time) *time.Location {
	_, offset := shown.Zone()
	_, local := shown.Local().Zone()
	if shown.IsZero() || offset == local {
		return time.Local
	}
	return shown.Location()
}
