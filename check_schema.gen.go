package occ

// Nothing here is generated: what the functions of a file of this name send is logged with the line of their caller, see
// [gorm.io/gorm/utils.CallerFrame].

import (
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/ddl"
)

// CheckSchema compares the database with what the versions of the models need, for a start-up without AutoMigrate: the
// table and the column of the version are there; the column has a type that can hold the versions, and is not narrower than
// the model says; it holds no NULL where the model says NOT NULL, on which AutoMigrate would fail; and a trigger of
// [CreateTriggers], where there is one, is the one that it would make today. It returns nil where all of it fits. Otherwise one
// error names everything that does not, each with its model and field and the statement that repairs it.
//
// It only reads. Where a column is nullable and should not be, it looks for a NULL, which may scan the table; everything else is
// in the catalog. It does not check models without a version, [Snapshot] and [Xmin], which have no column, nor the range of
// what a [Generator] or the database writes. Tables are named as for [CreateTriggers].
func CheckSchema(db *gorm.DB, models ...any) error {
	var problems []error
	err := withSchemas(db, func(db *gorm.DB, p *ddl.Schemas) error {
		for _, value := range models {
			m, table, err := p.ModelOfValue(db, value)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			if m.Version == nil || m.Compares() != nil || m.Version.IsXmin() {
				continue
			}
			check := ddl.Check{Schemas: p, DB: db.Session(&gorm.Session{NewDB: true, Context: db.Statement.Context}), Model: m, Table: table}
			if err := check.Run(); err != nil {
				return fmt.Errorf("occ: checking table %s: %w", p.Dialect.QuoteTable(table), err)
			}
			problems = append(problems, check.Problems...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("occ: the schema does not fit the versions:\n%w", errors.Join(problems...))
}
