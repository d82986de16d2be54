package dialect

import "strings"

// UUIDForm is how a column holds a UUID.
type UUIDForm int

// The forms of a UUID: text, 16 bytes, or a type of the database's own, which is bound and read as text.
const (
	UUIDText UUIDForm = iota
	UUIDBytes
	UUIDNative
)

// UUIDFormOf returns the form in which a column of a type holds UUIDs.
func (d Dialect) UUIDFormOf(columnType string) UUIDForm {
	switch {
	case strings.Contains(columnType, "binary"), strings.Contains(columnType, "blob"), strings.HasPrefix(columnType, "bytea"):
		return UUIDBytes
	case d.hasUUIDs && strings.HasPrefix(columnType, "uuid"):
		return UUIDNative
	}
	return UUIDText
}

// RandomUUID is SQL for a new random UUID, another one for each row; empty where the database has no such function.
func (d Dialect) RandomUUID(form UUIDForm) string {
	switch d.Name {
	case postgres:
		return map[UUIDForm]string{
			UUIDText:   "CAST(gen_random_uuid() AS text)",
			UUIDBytes:  "uuid_send(gen_random_uuid())",
			UUIDNative: "gen_random_uuid()",
		}[form]
	case mysql:
		return randomUUID("HEX(RANDOM_BYTES(%))", "SUBSTR('89ab', 1 + FLOOR(RAND() * 4), 1)", "CONCAT", ", ", form)
	case sqlite:
		if form == UUIDBytes {
			return "RANDOMBLOB(16)" // UNHEX is newer than many a SQLite
		}
		return randomUUID("HEX(RANDOMBLOB(%))", "SUBSTR('89ab', 1 + (RANDOM() & 3), 1)", "", " || ", form)
	}
	return ""
}

// randomUUID puts a version 4 UUID together from random bytes; variant is its digit of RFC 9562.
func randomUUID(random, variant, concat, and string, form UUIDForm) string {
	bytes := func(n string) string { return strings.ReplaceAll(random, "%", n) }
	three := func() string { return "SUBSTR(" + bytes("2") + ", 2)" }
	parts := []string{bytes("4"), "'-'", bytes("2"), "'-4'", three(), "'-'", variant, three(), "'-'", bytes("6")}
	if form == UUIDBytes {
		parts = []string{bytes("6"), "'4'", three(), variant, three(), bytes("6")}
		return "UNHEX(" + concat + "(" + strings.Join(parts, and) + "))"
	}
	return "LOWER(" + concat + "(" + strings.Join(parts, and) + "))"
}
