package merge

import (
	"errors"
	"fmt"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/intent"
	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/tx"
)

// Unresolved is the error of a rebase that needs a decision.
type Unresolved struct {
	Table  string
	Key    map[string]any
	Fields []Conflict
}

// Error is for nobody to see: the root makes the public error of it.
func (*Unresolved) Error() string { return "occ: both sides changed the same columns" }

// Rebase loads theirs, merges, and loads into stored what became of it.
func (s *Subject) Rebase(base, mine, theirs, stored any) error {
	key, err := s.checkRebase(base, mine)
	if err != nil {
		return err
	}
	forUpdate := clause.Locking{Strength: clause.LockingStrengthUpdate} // two share locks would keep each other from writing
	err = s.Load(s.Currently(s.Session(), forUpdate), key, theirs)
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return s.refuse(mine, nil)
	case s.Plugin.Dialect.IsConflict(err):
		return s.refuse(mine, err)
	case err != nil:
		return err
	}
	merge := MergeSides(s, base, mine, theirs)
	if len(merge.Conflicts) > 0 {
		return &Unresolved{Table: s.table(), Key: s.named(key), Fields: merge.Conflicts}
	}
	if len(merge.applied) == 0 {
		reflect.ValueOf(stored).Elem().Set(merge.theirs)
		return nil
	}
	return s.save(merge, key, stored)
}

func (s *Subject) checkRebase(base, mine any) (key []any, err error) {
	if err := s.CheckSides("Rebase", base, mine, mine); err != nil {
		return nil, err
	}
	if s.model.Version == nil {
		return nil, fmt.Errorf("occ: Rebase of model %s: it has no version that could be compared", s.model.Name)
	}
	return s.KeyOf("Rebase", mine)
}

// save writes a merge, and reads what is stored then: the database rounds, and hooks, defaults and triggers have a say.
func (s *Subject) save(m *merge, key []any, stored any) error {
	tx := s.Session()
	err := s.Plugin.Atomically(tx, func() error {
		if err := s.update(tx.Session(&gorm.Session{}), m); err != nil {
			return err
		}
		return s.Load(tx.Session(&gorm.Session{}).Unscoped(), key, stored)
	})
	if errors.Is(err, errNothingUpdated) {
		return s.refuse(m.theirs.Addr().Interface(), nil)
	}
	return err
}

// errNothingUpdated: the caller's own conditions held when the row was read, and no longer.
var errNothingUpdated = errors.New("occ: nothing updated")

func (s *Subject) update(tx *gorm.DB, m *merge) error {
	tx = tx.Select("*").Omit(append(m.unset(s.model), clause.Associations)...)
	if version := s.model.Version.Of(s.ctx, m.theirs); s.Plugin.BlindWrites && s.model.Version.Kind.IsZero(version) {
		tx = tx.Clauses(intent.Expect{Version: version, Loaded: true}) // or it would not be compared
	}
	tx = tx.Updates(m.Merged.Addr().Interface())
	if tx.Error == nil && tx.RowsAffected == 0 {
		return errNothingUpdated
	}
	return tx.Error
}

// unset returns the columns that Merged holds nothing of, though its fields may be zero: mine did not set them, and theirs has
// nothing of them, since GORM does not read them or they are NULL for want of an embedded struct that mine has made. A hook
// can set a field of that struct, so a model with hooks is written whole.
func (m *merge) unset(model *model.Model) (names []string) {
	hasHooks := model.BeforeSave || model.BeforeUpdate
	for _, c := range model.Columns() {
		isNull := !c.In(m.theirs).IsValid() && !hasHooks
		if (isNull || !c.Readable) && !m.isApplied(c) {
			names = append(names, c.DBName)
		}
	}
	return names
}

// refuse ends a Rebase that did not find its row, in the way of a write that did not. With reported, the database said
// that somebody else has written the row.
func (s *Subject) refuse(model any, reported error) error {
	return s.Plugin.RefuseModel(s.statement(), s.model, reflect.ValueOf(model).Elem(), reported)
}

// statement is a session that is about the model, without having run anything.
func (s *Subject) statement() *gorm.DB {
	tx := s.Session()
	_ = tx.Statement.Parse(s.model.NewModel()) // it was parsed before
	return tx
}

func (s *Subject) table() string { return s.statement().Statement.Table }

func (s *Subject) named(key []any) map[string]any {
	named := make(map[string]any, len(key))
	for i, field := range s.model.PrimaryFields {
		named[field.DBName] = key[i]
	}
	return named
}

// RememberVersions has the version of mine put back if the caller's transaction is rolled back, and that of the model that
// the result is copied into.
func (s *Subject) RememberVersions(mine any) {
	j := s.Plugin.Journals.Of(s.db.Statement.ConnPool)
	if j == nil {
		return
	}
	s.remember(j, mine)
	if into := intent.RebaseOf(s.db.Statement).Into; into != nil {
		s.remember(j, into)
	}
}

func (s *Subject) remember(j *tx.Journal, pointer any) {
	model := reflect.ValueOf(pointer).Elem()
	for _, field := range []*kind.Field{s.model.Version, s.model.Base} {
		if field != nil {
			j.Keep(s.ctx, tx.Memory{Field: field, Model: model, Version: field.Of(s.ctx, model)})
		}
	}
}
