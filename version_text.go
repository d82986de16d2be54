package occ

import (
	"fmt"
	"reflect"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/value"
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
	rv := value.Indirect(reflect.ValueOf(model))
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
	m := p.ModelOfSchema(parsed.Schema)
	switch {
	case m.Err != nil:
		return "", m.Err
	case m.Version == nil:
		return "", fmt.Errorf("occ: VersionText: model %s has no version", m.Name)
	}
	return m.Version.Text(m.Version.Of(parsed.Context, rv))
}
