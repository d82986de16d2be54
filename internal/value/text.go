package value

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"
)

func FormatVersion(version any) string {
	rv := Dereferenced(version)
	if !rv.IsValid() {
		return "none"
	}
	return plainOrQuoted(fmt.Sprint(rv.Interface()))
}

// Dereferenced is what a value points at in the end; invalid for a nil pointer.
func Dereferenced(value any) reflect.Value {
	rv := reflect.ValueOf(value)
	for rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	return rv
}

// plainOrQuoted returns a text of a client's for a line of a log. Anything but a plain word is quoted and escaped, so that it can
// neither end the line nor be read as another part of it.
func plainOrQuoted(text string) string {
	isPlain := func(r rune) bool {
		return r == '_' || r == '-' || r == '.' || r == ':' || r == '+' || r == '@' || r == '/' ||
			unicode.IsLetter(r) || unicode.IsDigit(r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !isPlain(r) }) < 0 {
		return text
	}
	return strconv.Quote(text)
}
