package kind

import (
	"errors"
	"fmt"
	"strings"
)

// Text is a version as text; "" for the zero value.
func (f *Field) Text(version any) (string, error) {
	if f.Kind.IsZero(version) {
		return "", nil
	}
	text, ok := f.Kind.Format(version)
	if !ok {
		return "", fmt.Errorf("occ: model %s, field %s: a version of type %s has no text: give the type driver.Valuer and sql.Scanner", f.Schema.Name, f.Name, f.FieldType)
	}
	return text, nil
}

// TextIfAny is the text of a version that was read from a row; "" where there is none.
func (f *Field) TextIfAny(version any) string {
	if version == nil {
		return ""
	}
	text, _ := f.Text(version)
	return text
}

// FromText is the version whose text this is; ok is false where it is that of none. Text is taken as it is written: of two
// forms of one number at most one is a version.
func (f *Field) FromText(text string) (version any, ok bool) {
	if text == "" {
		return nil, false
	}
	version, ok = f.Kind.Parse(text)
	if !ok || f.Kind.IsZero(version) {
		return nil, false
	}
	again, ok := f.Kind.Format(version)
	return version, ok && again == text
}

// AnyVersion is the text that stands for whichever version a row has.
const AnyVersion = "*"

// escape writes bytes that do not fit a version's text as a percent sign and two hexadecimal digits. A version that is an
// asterisk is not [AnyVersion].
func escape(text string) string {
	if text == AnyVersion {
		return "%2A"
	}
	var escaped strings.Builder
	for i := range len(text) {
		if c := text[i]; c > ' ' && c <= '~' && !strings.ContainsRune(`",;%`, rune(c)) {
			_ = escaped.WriteByte(c)
		} else {
			fmt.Fprintf(&escaped, "%%%02X", c)
		}
	}
	return escaped.String()
}

var errEscape = errors.New("a percent sign without two hexadecimal digits")

// unescape undoes escape.
func unescape(text string) (string, error) {
	if !strings.ContainsRune(text, '%') {
		return text, nil
	}
	var plain strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			_ = plain.WriteByte(text[i])
			continue
		}
		if i+2 >= len(text) {
			return "", errEscape
		}
		high, low := hexDigit(text[i+1]), hexDigit(text[i+2])
		if high < 0 || low < 0 {
			return "", errEscape
		}
		_ = plain.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return plain.String(), nil
}

func hexDigit(c byte) int { return strings.IndexByte("0123456789ABCDEF", c) }
