package occ

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
)

// VersionText is the version that model holds as text, for a client to send back: in an ETag, a hidden field, a JSON body.
// [ExpectText] takes it. It is "" where the version was never loaded. It sends no SQL, and is safe for concurrent use.
//
// Model is a struct or a pointer to one. Nil, a slice, a model without a version and a db without the plugin are errors. Where
// the version is of a type that has no text (a struct without driver.Valuer and sql.Scanner), that is an error too.
//
// The text is visible ASCII without a space, a quote, a comma or a semicolon, so that it fits an entity tag of RFC 9110:
// integers and [Xmin] decimal, times RFC 3339 in UTC with the digits of the column, UUIDs in lower case with dashes, other
// strings with what does not fit as a percent sign and two hexadecimal digits. Of a [Snapshot] it is a digest: 128 bits of
// SHA-256 over the compared columns, with their names. It is "" where one of them was not loaded.
func VersionText(db *gorm.DB, model any) (string, error) {
	p, err := engineOf(db)
	if err != nil {
		return "", err
	}
	rv := indirect(reflect.ValueOf(model))
	switch {
	case !rv.IsValid():
		return "", fmt.Errorf("occ: VersionText: the model is nil: %w", gorm.ErrInvalidValue)
	case rv.Kind() != reflect.Struct:
		return "", fmt.Errorf("occ: VersionText: %s is no model: pass a struct or a pointer to one: %w", rv.Type(), gorm.ErrInvalidValue)
	}
	parsed := &gorm.Statement{DB: db, Context: db.Statement.Context}
	if err := parsed.Parse(reflect.New(rv.Type()).Interface()); err != nil {
		return "", fmt.Errorf("occ: VersionText: %w", err)
	}
	m := p.modelOfSchema(parsed.Schema)
	switch {
	case m.err != nil:
		return "", m.err
	case m.version == nil:
		return "", fmt.Errorf("occ: VersionText: model %s has no version", m.Name)
	}
	return m.version.text(m.version.of(parsed.Context, rv))
}

// text is a version as text; "" for the zero value.
func (f *versionField) text(version any) (string, error) {
	if f.kind.isZero(version) {
		return "", nil
	}
	text, ok := f.kind.format(version)
	if !ok {
		return "", fmt.Errorf("occ: model %s, field %s: a version of type %s has no text: give the type driver.Valuer and sql.Scanner", f.Schema.Name, f.Name, f.FieldType)
	}
	return text, nil
}

// fromText is the version whose text this is; ok is false where it is that of none. Text is taken as it is written: of two
// forms of one number at most one is a version.
func (f *versionField) fromText(text string) (version any, ok bool) {
	if text == "" {
		return nil, false
	}
	version, ok = f.kind.parse(text)
	if !ok || f.kind.isZero(version) {
		return nil, false
	}
	again, ok := f.kind.format(version)
	return version, ok && again == text
}

// isAtText reports whether a version is the one of a text among texts.
func (f *versionField) isAtText(version any, texts []string) bool {
	text, err := f.text(version)
	return err == nil && text != "" && slices.Contains(texts, text)
}

// anyVersion is the text that stands for whichever version a row has.
const anyVersion = "*"

// escape writes bytes that do not fit a version's text as a percent sign and two hexadecimal digits. A version that is an
// asterisk is not [AnyVersion].
func escape(text string) string {
	if text == anyVersion {
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
