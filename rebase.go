package occ

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Rebase saves mine on top of what others have written since: it reads the row, merges what turned base into mine with it
// as [Merge] does, and saves the result if the row is then still as it was read. Base is the row as mine was loaded: keep
// a copy before you change it, one that does not share the slices and maps that you change in place, or embed a [Snapshot] in
// the model and pass nil. Call Rebase where a
// write of mine was refused with [ErrStaleData], or instead of that write.
//
// Afterwards mine is the row as it is stored, with their changes, its version and its timestamps; associations in it have
// to be loaded again. Where mine adds nothing to the row, nothing is written. All columns are written, after the hooks of
// an update; associations are not saved.
//
// On an error the row and mine are what they were, also in a transaction of the caller's:
//   - [*MergeConflictError], which matches [ErrMergeConflict], if both sides changed a column to different values;
//   - [*StaleDataError] if the row was deleted, also softly (unless db is Unscoped), or if somebody wrote it between
//     reading and saving, in which case Rebase can be called again;
//   - an error that names the model if it has no version to compare, or what was passed is nil, without a primary key, or
//     not the same row.
//
// Table, conditions and context of db apply as in [Current]. In a transaction on MySQL and MariaDB, the row is locked as it
// is read. Rebase costs a read, and a transaction or savepoint with the write and another read.
func Rebase[T any](db *gorm.DB, base, mine *T) error {
	s, err := subjectIn[T](db)
	if err != nil {
		return err
	}
	if base, err = baseOf(s, "Rebase", base, mine); err != nil {
		return err
	}
	theirs, stored := new(T), new(T)
	err = s.rebase(base, mine, theirs, stored)
	if unresolved := (*unresolved)(nil); errors.As(err, &unresolved) {
		return &MergeConflictError{
			Table: unresolved.table, PrimaryKey: unresolved.key, Fields: fieldConflicts(unresolved.fields), Theirs: theirs,
		}
	}
	if err != nil {
		return err
	}
	s.rememberVersion(mine)
	*mine = *stored
	return nil
}

// unresolved is the error of a rebase that needs a decision.
type unresolved struct {
	table  string
	key    map[string]any
	fields []conflictingField
}

// Error is for nobody to see: the root makes the public error of it.
func (*unresolved) Error() string { return "occ: both sides changed the same columns" }

// rebase loads theirs, merges, and loads into stored what became of it.
func (s *subject) rebase(base, mine, theirs, stored any) error {
	key, err := s.checkRebase(base, mine)
	if err != nil {
		return err
	}
	forUpdate := clause.Locking{Strength: clause.LockingStrengthUpdate} // two share locks would keep each other from writing
	err = s.load(s.currently(s.session(), forUpdate), key, theirs)
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return s.refuse(mine, nil)
	case s.plugin.dialect.IsConflict(err):
		return s.refuse(mine, err)
	case err != nil:
		return err
	}
	merge := mergeSides(s, base, mine, theirs)
	if len(merge.conflicts) > 0 {
		return &unresolved{table: s.table(), key: s.named(key), fields: merge.conflicts}
	}
	if len(merge.applied) == 0 {
		reflect.ValueOf(stored).Elem().Set(merge.theirs)
		return nil
	}
	return s.save(merge, key, stored)
}

func (s *subject) checkRebase(base, mine any) (key []any, err error) {
	if err := s.checkSides("Rebase", base, mine, mine); err != nil {
		return nil, err
	}
	if s.model.version == nil {
		return nil, fmt.Errorf("occ: Rebase of model %s: it has no version that could be compared", s.model.Name)
	}
	return s.keyOf("Rebase", mine)
}

// save writes a merge, and reads what is stored then: the database rounds, and hooks, defaults and triggers have a say.
func (s *subject) save(m *merge, key []any, stored any) error {
	tx := s.session()
	err := s.plugin.atomically(tx, func() error {
		if err := s.update(tx.Session(&gorm.Session{}), m); err != nil {
			return err
		}
		return s.load(tx.Session(&gorm.Session{}).Unscoped(), key, stored)
	})
	if errors.Is(err, errNothingUpdated) {
		return s.refuse(m.theirs.Addr().Interface(), nil)
	}
	return err
}

// errNothingUpdated: the caller's own conditions held when the row was read, and no longer.
var errNothingUpdated = errors.New("occ: nothing updated")

func (s *subject) update(tx *gorm.DB, m *merge) error {
	tx = tx.Select("*").Omit(append(m.unread(s.model), clause.Associations)...)
	if version := s.model.version.of(s.ctx, m.theirs); s.plugin.blindWrites && s.model.version.kind.isZero(version) {
		tx = tx.Clauses(expect{version}) // or it would not be compared
	}
	tx = tx.Updates(m.merged.Addr().Interface())
	if tx.Error == nil && tx.RowsAffected == 0 {
		return errNothingUpdated
	}
	return tx.Error
}

// unread are the columns that GORM writes but does not read, so that theirs has nothing of them, unless mine set them.
func (m *merge) unread(model *model) (names []string) {
	for _, c := range model.columns() {
		isApplied := slices.ContainsFunc(m.applied, func(a column) bool { return a.Field == c.Field })
		if !c.Readable && !isApplied {
			names = append(names, c.DBName)
		}
	}
	return names
}

// refuse ends a Rebase that did not find its row, in the way of a write that did not. With reported, the database said
// that somebody else has written the row.
func (s *subject) refuse(model any, reported error) error {
	tx := s.statement()
	w := s.asWrite(tx)
	if err := w.addRow(0, reflect.ValueOf(model).Elem(), nil); err != nil {
		return err
	}
	w.counters().checked.Add(1)
	w.refuse(reported)
	w.report()
	return tx.Error
}

// statement is a session that is about the model, without having run anything.
func (s *subject) statement() *gorm.DB {
	tx := s.session()
	_ = tx.Statement.Parse(s.model.newModel()) // it was parsed before
	return tx
}

func (s *subject) table() string { return s.statement().Statement.Table }

func (s *subject) named(key []any) map[string]any {
	return s.asWrite(nil).namedKey(&row{key: key})
}

// rememberVersion has the version of mine put back if the caller's transaction is rolled back.
func (s *subject) rememberVersion(mine any) {
	j := s.plugin.journals.of(s.db.Statement.ConnPool)
	if j == nil {
		return
	}
	model := reflect.ValueOf(mine).Elem()
	for _, field := range []*versionField{s.model.version, s.model.base} {
		if field != nil {
			j.memories = append(j.memories, memory{field: field, model: model, version: field.of(s.ctx, model)})
		}
	}
}
