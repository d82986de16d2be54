package rows

import (
	"context"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/tx"
	"github.com/gorm-occ/occ/internal/value"
)

// Site is where a statement works. It is fixed for a call.
type Site struct {
	DB      *gorm.DB
	Stmt    *gorm.Statement
	Ctx     context.Context
	Model   *model.Model
	Dialect *dialect.Dialect
	// Journals are told what becomes of the transaction
	Journals *tx.Journals
	Failed   error // of a query about the table that has ended the transaction
	keys     keyRoom
}

// Lookup is how rows are found, and what else they have to be. The zero value finds rows by their primary keys.
type Lookup struct {
	Identity []*schema.Field     // what rows are found by, where that is not the primary key
	Target   []clause.Expression // what the rows of a conflict target have to be besides
	AsShown  bool                // rows are read as the transaction shows them, and not locked
	Own      clause.Clause       // WHERE as the caller left it
	From     clause.From         // the further tables that Own refers to
	Proposed []Column            // what Own says of the rows that an upsert was to insert
}

// HasOwnConditions reports whether the caller added conditions.
func (l *Lookup) HasOwnConditions() bool {
	where, _ := l.Own.Expression.(clause.Where)
	return len(where.Exprs) > 0
}

// Fields returns the fields that rows are found by.
func (l *Lookup) Fields(m *model.Model) []*schema.Field {
	if l.Identity != nil {
		return l.Identity
	}
	return m.PrimaryFields
}

// namingFields returns the fields that rows are found by, and those of their primary keys.
func (l *Lookup) namingFields(m *model.Model) []*schema.Field {
	if l.Identity == nil {
		return m.PrimaryFields
	}
	return distinctFields(l.Identity, m.PrimaryFields)
}

// keyRoom is room for the keys of rows, so that they cost few allocations.
type keyRoom struct {
	first   [1]any
	taken   int
	further []any // of several rows at once
}

// take returns room for a key of that many parts.
func (k *keyRoom) take(parts int) []any {
	k.taken++
	if parts == len(k.first) && k.taken == 1 {
		return k.first[:]
	}
	if cap(k.further) < parts {
		k.further = make([]any, 0, parts*k.taken)
	}
	key := k.further[:parts:parts]
	k.further = k.further[parts:parts]
	return key
}

// Row is one model in hand and the versions of its write.
type Row struct {
	Index    int
	Model    reflect.Value // a struct
	Key      []any         // by primary field; nil where no part of it is set
	Before   any           // the version in memory
	Expected any           // the version compared with
	Next     any           // the version written
	Copies   []*Row        // further models of the same row

	HasOwnKey bool // of a model to be created: the database has no key to generate
}

// Latest returns the model whose values are written: of several copies of one row, the last one.
func (r *Row) Latest() reflect.Value {
	if n := len(r.Copies); n > 0 {
		return r.Copies[n-1].Model
	}
	return r.Model
}

// All returns the row and its copies.
func (r *Row) All() []*Row {
	return append([]*Row{r}, r.Copies...)
}

// KeyOf returns the primary key of a model; nil where no part of it is set.
func (s *Site) KeyOf(model reflect.Value) []any { return s.KeyBy(s.Model.PrimaryFields, model) }

// KeyBy returns what a model holds in fields; nil where no part of it is set.
func (s *Site) KeyBy(fields []*schema.Field, model reflect.Value) []any {
	key, isSet := s.keys.take(len(fields)), false
	for i, field := range fields {
		value, isZero := field.ValueOf(s.Ctx, model)
		key[i], isSet = value, isSet || !isZero
	}
	if !isSet {
		return nil
	}
	return key
}

// HasKey reports whether any part of a model's primary key is set.
func (s *Site) HasKey(model reflect.Value) bool {
	return slices.ContainsFunc(s.Model.PrimaryFields, func(field *schema.Field) bool {
		_, isZero := field.ValueOf(s.Ctx, model)
		return !isZero
	})
}

// AllKeys returns the key of a row that was read, whose parts may well be zero.
func (s *Site) AllKeys(model reflect.Value) []any {
	key := make([]any, len(s.Model.PrimaryFields))
	for i, field := range s.Model.PrimaryFields {
		key[i], _ = field.ValueOf(s.Ctx, model)
	}
	return key
}

// KeyText returns a text that is different for models that differ in some fields.
func (s *Site) KeyText(model reflect.Value, fields []*schema.Field) string {
	return value.KeyTextOf(s.Ctx, fields, model)
}
