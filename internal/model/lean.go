package model

import (
	"reflect"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/registration"
)

// addLean finds out whether writes of the model can be single statements at all.
func (m *Model) addLean() {
	m.IsLean = m.Err == nil && m.Version != nil && !m.Version.ByDatabase &&
		m.Snapshot == nil && len(m.Touches) == 0 && hasOnlyKnownClauses(m.Schema)
	m.HasPlainStatements = m.IsLean && m.Version.IsCounter() && m.Base == nil
	m.IsInsertLean = true
	for _, field := range m.FieldsWithDefaultDBValue { // what INSERT reads back may not fit the field
		isSerial := field == m.PrioritizedPrimaryField && kind.IntegerIn(field.FieldType) != nil
		m.IsInsertLean = m.IsInsertLean && isSerial
	}
}

// hasOnlyKnownClauses reports whether the fields of a model add no clauses but those of soft deletes: others could send
// statements of their own.
func hasOnlyKnownClauses(s *schema.Schema) bool {
	for _, clauses := range [][]clause.Interface{s.CreateClauses, s.UpdateClauses, s.DeleteClauses} {
		for _, c := range clauses {
			typ := reflect.TypeOf(c)
			if typ.Kind() == reflect.Pointer {
				typ = typ.Elem()
			}
			if pkg := typ.PkgPath(); typ != reflect.TypeFor[registration.Unregistered]() && pkg != "gorm.io/gorm" && pkg != "gorm.io/plugin/soft_delete" {
				return false
			}
		}
	}
	return true
}

// HasHooksOf reports whether the model has hooks that a call runs.
func (m *Model) HasHooksOf(op conflict.Op) bool {
	switch op {
	case conflict.OpUpsert:
		return m.BeforeSave || m.BeforeCreate || m.AfterCreate || m.AfterSave
	case conflict.OpDelete:
		return m.BeforeDelete || m.AfterDelete
	}
	return m.BeforeSave || m.BeforeUpdate || m.AfterUpdate || m.AfterSave
}
