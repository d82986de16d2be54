package occ

// Nothing here is generated: what the functions of a file of this name send is logged with the line of their caller, see
// [gorm.io/gorm/utils.CallerFrame].

import (
	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/session"
)

// Touch writes the next version of rows and nothing else, not even timestamps. Writes of older copies are refused from then on.
// Use it where one row stands for others that were read or written with it, as JPA's
// LockModeType.OPTIMISTIC_FORCE_INCREMENT.
//
// Models are pointers to structs, or slices of structs or of pointers, with their keys and versions; they may be of several
// types. Each is compared with its own version and has the next one afterwards. All rows are written or none; one that is
// not current fails the call with a [*StaleDataError] of [OpTouch], whose Index counts the models in the order they were
// passed. A model that is nil, has no key, or is of a type without a version is an error; so is one whose version the
// database writes, if it does not do so for an UPDATE that changes nothing. It sends one UPDATE for each table; hooks do
// not run. With no models it does nothing. The table, scopes and settings of db apply, and so does the database that
// was chosen for gorm.io/plugin/dbresolver. With a table, the models have to be of one type. A row that the scopes leave out is
// [gorm.ErrRecordNotFound], and none is written. Conditions of db do not apply, and an [Expect] is an error: it may be a statement's
// that was run with db, and models are compared with what they hold.
func Touch(db *gorm.DB, models ...any) error {
	log := &session.Log{}
	db = log.KeepOf(db)
	defer log.Flush()
	e, err := engineOf(db)
	if err != nil {
		return err
	}
	return e.TouchModels(db, models)
}

// Verify compares rows with the versions of models and writes nothing. In a transaction it holds the rows with a share lock
// until the end, where the dialect has one (PostgreSQL, MySQL, MariaDB), so that what was decided on them stays true;
// outside of a transaction, and on SQLite, it only looks. It is JPA's LockModeType.OPTIMISTIC.
//
// Models are as for [Touch]. A row that is not current fails the call with a [*StaleDataError] of [OpVerify]. It sends one
// SELECT for each table.
func Verify(db *gorm.DB, models ...any) error {
	log := &session.Log{}
	db = log.KeepOf(db)
	defer log.Flush()
	e, err := engineOf(db)
	if err != nil {
		return err
	}
	return e.VerifyModels(db, models)
}
