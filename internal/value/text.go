package value

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxListed = 5   // of the texts of a list in a log
	maxText   = 200 // of the bytes of a text in a log
)

// FormatVersion returns a version, or the texts of several, for a line of a log.
func FormatVersion(version any) string {
	rv := Dereferenced(version)
	if !rv.IsValid() {
		return "none"
	}
	return plainOrQuoted(Brief(rv.Interface()))
}

// Brief returns a value as text for a log. A client chooses how many texts it sends and how long they are, so it shows the
// first few of a list and the beginning of a long text.
func Brief(given any) string {
	texts, isList := given.([]string)
	if !isList {
		return beginning(fmt.Sprint(given))
	}
	var brief []string
	for _, text := range texts[:min(len(texts), maxListed)] {
		brief = append(brief, beginning(text))
	}
	if more := len(texts) - len(brief); more > 0 {
		brief = append(brief, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprint(brief)
}

// beginning returns a text as it is or, where it is long, its first characters.
func beginning(text string) string {
	if len(text) <= maxText {
		return text
	}
	end := maxText
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return fmt.Sprintf("%s... (%d bytes)", text[:end], len(text))
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
