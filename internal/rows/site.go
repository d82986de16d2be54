package rows

import (
	"context"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/value"
)

func (s *Site) HasOwnConditions() bool {
	where, _ := s.Own.Expression.(clause.Where)
	return len(where.Exprs) > 0
}

// KeyText tells models apart by some of their fields.
func (s *Site) KeyText(model reflect.Value, fields []*schema.Field) string {
	return value.KeyTextOf(s.Ctx, fields, model)
}

// Site is where a statement works, and how its rows are found.
type Site struct {
	DB      *gorm.DB
	Stmt    *gorm.Statement
	Ctx     context.Context
	Model   *model.Model
	Dialect *dialect.Dialect
	Lookup
	keys keyRoom
}

// Lookup is how the rows of a statement are found, and what else they have to be.
type Lookup struct {
	Identity []*schema.Field     // what rows are found by, where that is not the primary key
	Target   []clause.Expression // what the rows of a conflict target have to be besides
	AsShown  bool                // rows are read as the transaction shows them, and not locked
	Own      clause.Clause       // WHERE as the caller left it
	Proposed []Column            // what own says of the rows that an upsert was to insert
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

func (s *Site) KeyOf(model reflect.Value) []any {
	fields := s.IdentityFields()
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

// IdentityFields are what the rows of the write are found by.
func (s *Site) IdentityFields() []*schema.Field {
	if s.Identity != nil {
		return s.Identity
	}
	return s.Model.PrimaryFields
}
