package occ

// Nothing here is generated: what the functions of a file of this name send is logged with the line of their caller, see
// [gorm.io/gorm/utils.CallerFrame].

import (
	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/session"
)

// Current reads the row of model as it is now: what a refused write ran into. It finds the row by the primary key in
// model, which is left as it is; the model need not have a version. A row that is soft-deleted is returned like any
// other; no row is [gorm.ErrRecordNotFound].
//
// Table, conditions, Preload and context of db apply as they do to a query. The read goes to the primary under
// gorm.io/plugin/dbresolver. In a transaction it goes past the transaction's snapshot where the database can: on MySQL
// and MariaDB it waits for writers of the row and holds a share lock on it until the transaction ends. PostgreSQL under
// REPEATABLE READ or SERIALIZABLE and SQLite show a transaction nothing newer than its snapshot.
func Current[T any](db *gorm.DB, model *T) (*T, error) {
	log := &session.Log{}
	db = log.KeepOf(db)
	defer log.Flush()
	s, err := subjectIn[T](db)
	if err != nil {
		return nil, err
	}
	key, err := s.KeyOf("Current", model)
	if err != nil {
		return nil, err
	}
	row := new(T)
	if err := s.Load(s.Currently(s.Session(), s.Plugin.Dialect.CurrentRead).Unscoped(), key, row); err != nil {
		return nil, err
	}
	return row, nil
}
