package occ

import (
	"reflect"
	"slices"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/kind"
)

// Xmin is PostgreSQL's system column of that name as the version: the number of the transaction that wrote the row last.
// Embed it, or give it a name:
//
//	type Invoice struct {
//		ID    uint
//		Total int
//		occ.Xmin
//	}
//
// It needs no column and no migration. The plugin adds it to every query of the model, unless the query selects columns of
// its own. Raw SQL has to name it: SELECT *, xmin FROM invoices. Two copies that were loaded inside the
// transaction that last wrote the row cannot be told apart. On another database a model with it is an error at first use.
type Xmin uint32

// CreateClauses is called by GORM while it parses a model, the one moment before a migration at which the field can be
// made the system column. Its clause has writes fail without the plugin. Embedding makes it a method of the
// model, so that GORM also calls it for other fields; it acts on fields of type Xmin alone.
func (Xmin) CreateClauses(field *schema.Field) []clause.Interface {
	if field.IndirectFieldType != reflect.TypeFor[Xmin]() || kind.IsIgnored(field) {
		return nil
	}
	field.IgnoreMigration, field.Creatable, field.Updatable = true, false, false
	if s := field.Schema; s.FieldsByDBName[field.DBName] == field && field.DBName != kind.XminColumn {
		delete(s.FieldsByDBName, field.DBName)
		s.DBNames[slices.Index(s.DBNames, field.DBName)] = kind.XminColumn
		field.DBName, s.FieldsByDBName[kind.XminColumn] = kind.XminColumn, field
	}
	return versionClauses[Xmin](field)
}

// UpdateClauses is called by GORM while it parses a model. Its clause has writes fail without the plugin.
func (Xmin) UpdateClauses(field *schema.Field) []clause.Interface {
	return versionClauses[Xmin](field)
}

// DeleteClauses is called by GORM while it parses a model. Its clause has writes fail without the plugin.
func (Xmin) DeleteClauses(field *schema.Field) []clause.Interface {
	return versionClauses[Xmin](field)
}
