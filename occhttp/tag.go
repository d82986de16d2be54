package occhttp

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"reflect"
	"sort"
	"strings"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

// Tag is the opaque part of a strong entity tag (RFC 9110, section 8.8.3): 7 of "7". The empty Tag is none. String, JSON and
// text have it in its quotes, as a header does: in JSON, "\"7\"".
type Tag string

// String returns the tag as a header has it, in quotes; "" for the empty Tag. A byte that no entity tag may hold, such as a
// quote or a line feed, is written as a percent sign and two hexadecimal digits.
func (t Tag) String() string {
	if t == "" {
		return ""
	}
	var quoted strings.Builder
	quoted.WriteByte('"')
	for _, c := range []byte(t) {
		if isOpaque(c) {
			quoted.WriteByte(c)
		} else {
			fmt.Fprintf(&quoted, "%%%02X", c)
		}
	}
	quoted.WriteByte('"')
	return quoted.String()
}

// MarshalText returns String, for JSON too. It returns no error.
func (t Tag) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText takes what String gives: one strong entity tag, or nothing for the empty Tag. Other text is
// [ErrMalformedTag], a weak tag is [ErrWeakTag]; the Tag is then left as it was.
func (t *Tag) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*t = ""
		return nil
	}
	list, ok := parseTags([]string{string(text)})
	switch {
	case !ok || list.any || len(list.tags) != 1:
		return fmt.Errorf("%w: one tag in quotes is wanted, such as %s", ErrMalformedTag, Tag("7"))
	case list.tags[0].weak:
		return fmt.Errorf("%w: a strong tag is wanted", ErrWeakTag)
	}
	*t = list.tags[0].opaque
	return nil
}

// Variant returns the tag of one representation of the resource among several, such as "7;html" beside "7;json". RFC 9110
// wants different strong tags for different bytes. [IfMatch] and [Check] ignore the variant: whichever was read, the version
// is the same. Name is best plain ASCII; the empty Tag has no variants, and the empty name returns t.
func (t Tag) Variant(name string) Tag {
	if t == "" || name == "" {
		return t
	}
	return t + ";" + Tag(name)
}

// version returns the tag without its variant. A version's text has no semicolon.
func (t Tag) version() Tag {
	version, _, _ := strings.Cut(string(t), ";")
	return Tag(version)
}

// TagOf returns the tag of a resource that is made of models, as they were loaded. It sends no SQL and is safe for
// concurrent use.
//
// Of one struct, or a pointer to one, it is [occ.VersionText]: what [IfMatch] compares in the statement. Of several models,
// and of a slice however long, it is a digest of the tables, keys and versions in their order: 128 bits of SHA-256. A digest
// is for [NotModified] and [Check]; IfMatch finds it at no row. Pass a collection as its slice, so that an empty one and one
// of a single item have a digest too.
//
// The Tag is empty where a version was never loaded. No model, nil, a model without a version and a db without the plugin
// are errors.
func TagOf(db *gorm.DB, models ...any) (Tag, error) {
	if len(models) == 0 {
		return "", fmt.Errorf("occhttp: TagOf was given no model: pass a model, or a collection as its slice: %w", gorm.ErrInvalidValue)
	}
	if len(models) == 1 && !isSlice(models[0]) {
		text, err := occ.VersionText(db, models[0])
		return Tag(text), err
	}
	d := digest{db: db, hash: sha256.New(), complete: true}
	for _, model := range models {
		if err := d.add(model); err != nil {
			return "", err
		}
	}
	if !d.complete {
		return "", nil
	}
	return Tag(hex.EncodeToString(d.hash.Sum(nil)[:16])), nil
}

func isSlice(model any) bool {
	kind := indirect(model).Kind()
	return kind == reflect.Slice || kind == reflect.Array
}

// indirect returns what a value points to, through pointers and interfaces; invalid for nil.
func indirect(model any) reflect.Value {
	rv := reflect.ValueOf(model)
	for rv.Kind() == reflect.Pointer || rv.Kind() == reflect.Interface {
		rv = rv.Elem()
	}
	return rv
}

// digest is the tag of several models on its way.
type digest struct {
	db       *gorm.DB
	hash     hash.Hash
	complete bool // every version was loaded
}

// add adds a model, or the length of a slice and its models.
func (d *digest) add(model any) error {
	if !isSlice(model) {
		return d.addRow(model)
	}
	rows := indirect(model)
	d.write("slice", fmt.Sprint(rows.Len()))
	for i := range rows.Len() {
		if err := d.add(rows.Index(i).Interface()); err != nil {
			return err
		}
	}
	return nil
}

func (d *digest) addRow(model any) error {
	text, err := occ.VersionText(d.db, model)
	if err != nil {
		return err
	}
	d.complete = d.complete && text != ""
	row := indirect(model)
	stmt := &gorm.Statement{DB: d.db, Context: d.db.Statement.Context}
	if err := stmt.Parse(reflect.New(row.Type()).Interface()); err != nil {
		return err
	}
	d.write("row", stmt.Schema.Table, text)
	fields := stmt.Schema.PrimaryFields
	keys := make([]string, 0, len(fields))
	for _, field := range fields {
		value, _ := field.ValueOf(stmt.Context, row)
		if rv := indirect(value); rv.IsValid() {
			value = rv.Interface()
		}
		keys = append(keys, fmt.Sprintf("%s=%v", field.DBName, value))
	}
	sort.Strings(keys)
	d.write(append([]string{"key"}, keys...)...)
	return nil
}

// write adds texts with their number and lengths, so that no two lists have the same bytes.
func (d *digest) write(texts ...string) {
	fmt.Fprintf(d.hash, "%d:", len(texts))
	for _, text := range texts {
		fmt.Fprintf(d.hash, "%d:%s", len(text), text)
	}
}
