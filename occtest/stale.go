package occtest

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ"
)

// RefusesStale runs edit, which writes the row of T with the key through db, and has somebody else write that row right before.
// The test fails unless edit returns an error that matches [occ.ErrStaleData], wrapped or not, and the row is as the other writer left
// it (as it was, where a transaction undid both). So it fails where the error is swallowed or is another one, where the row is written
// unchecked, by condition or by raw SQL, where it is loaded again and overwritten, and where it is not written at all. A model that was
// never loaded is refused always and proves nothing: [occ.ErrVersionMissing] fails too.
//
// With want, which takes the place of the error's check, each of the functions has to report true for the error: for code that turns
// the error into one of its own. A row that is not there, and edit's use of another gorm.DB than db, fail the test.
func RefusesStale[T any](t testing.TB, db *gorm.DB, key any, edit func(context.Context) error, want ...func(error) bool) {
	t.Helper()
	p, ok := prepare[T](t, db, key)
	if !ok {
		return
	}
	err := edit(t.Context())
	stored, ok := p.check(t)
	if !ok {
		return
	}
	if !stored.equals(p.after) && (!p.through || !stored.equals(p.before)) {
		t.Errorf("occtest: %s %v was overwritten after somebody else had changed it; edit returned %v. Write the model that was loaded, and compare its version", p.schema.Name, key, err)
		return
	}
	checkRefusal(t, err, want)
}

func checkRefusal(t testing.TB, err error, want []func(error) bool) {
	t.Helper()
	if err == nil {
		t.Errorf("occtest: edit returned nil although its write was stale: return the error of the write")
		return
	}
	if len(want) == 0 {
		want = []func(error) bool{isStale}
	}
	for i, accepts := range want {
		if !accepts(err) {
			t.Errorf("occtest: edit returned an error that is not the one wanted (check %d): %v", i, err)
		}
	}
}

func isStale(err error) bool {
	return errors.Is(err, occ.ErrStaleData) && !errors.Is(err, occ.ErrVersionMissing)
}

// SurvivesStale runs edit, which writes the row of T with the key through db, and has somebody else write that row right before its
// first write. The test fails unless edit returns nil, the row is there and was written after the other's write, and check, which gets
// the row as it is stored, returns nil. It is for code that loads and writes again after a conflict, with [occ.Retry] say. The
// other writer writes the next version alone; [Overtake] changes values.
func SurvivesStale[T any](t testing.TB, db *gorm.DB, key any, edit func(context.Context) error, check func(T) error) {
	t.Helper()
	p, ok := prepare[T](t, db, key)
	if !ok {
		return
	}
	err := edit(t.Context())
	stored, ok := p.check(t)
	switch {
	case !ok:
	case err != nil:
		t.Errorf("occtest: edit did not survive that somebody else wrote %s %v: %v", p.schema.Name, key, err)
	case stored == nil:
		t.Errorf("occtest: %s %v is gone after edit", p.schema.Name, key)
	case stored.equals(p.after) || p.through && stored.equals(p.before):
		t.Errorf("occtest: edit returned nil and did not write %s %v after somebody else had: it has to load the row and write again", p.schema.Name, key)
	case check != nil:
		checkStored(t, p.db, p.schema, key, check)
	}
}

func checkStored[T any](t testing.TB, db *gorm.DB, s *schema.Schema, key any, check func(T) error) {
	t.Helper()
	var stored T
	if err := other(db).Unscoped().Clauses(clause.Where{Exprs: keyConditions(s, key)}).Take(&stored).Error; err != nil {
		t.Errorf("occtest: read %s %v: %v", s.Name, key, err)
	} else if err := check(stored); err != nil {
		t.Errorf("occtest: %s %v as it is stored: %v", s.Name, key, err)
	}
}

// pending is an overtaking of one row.
type pending struct {
	*Overtaking
	db     *gorm.DB
	schema *schema.Schema
	key    any
}

// prepare has the row with the key overtaken. It reports false where that cannot be, which t then has been told.
func prepare[T any](t testing.TB, db *gorm.DB, key any) (*pending, bool) {
	t.Helper()
	s, err := schemaOf[T](db)
	if err != nil {
		t.Errorf("occtest: %v", err)
		return nil, false
	}
	stored, err := load(db, s, key)
	if err != nil || stored == nil {
		t.Errorf("occtest: there is no %s with the key %v (error: %v)", s.Name, key, err)
		return nil, false
	}
	if !claim(t, db) {
		return nil, false
	}
	p := &pending{Overtaking: &Overtaking{}, db: db, schema: s, key: key}
	overtake(t, db, p.Overtaking, key, alter[T](s))
	return p, true
}

// check returns the row as it is now, and reports false where nobody overtook edit.
func (p *pending) check(t testing.TB) (row, bool) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.happened {
		p.happened = true // a later write is not edit's
		t.Errorf("occtest: edit did not write %s %v through this gorm.DB (raw SQL is not seen)", p.schema.Name, p.key)
		return nil, false
	}
	stored, err := load(p.db, p.schema, p.key)
	if err != nil {
		t.Errorf("occtest: read %s %v: %v", p.schema.Name, p.key, err)
	}
	return stored, err == nil
}

// alter changes a value where the model has a Snapshot and no version to advance.
func alter[T any](s *schema.Schema) func(*T) {
	if !hasSnapshot(s.ModelType) {
		return nil
	}
	return func(model *T) {
		v := reflect.ValueOf(model).Elem()
		for _, field := range s.Fields {
			if field.DBName != "" && !field.PrimaryKey && field.Updatable && field.AutoUpdateTime == 0 && alterValue(field.ReflectValueOf(context.Background(), v)) {
				return
			}
		}
	}
}

// alterValue changes v, and reports false where it does not know a valid other value.
func alterValue(v reflect.Value) bool {
	switch {
	case v.CanInt():
		v.SetInt(v.Int() ^ 1)
	case v.CanUint():
		v.SetUint(v.Uint() ^ 1)
	case v.CanFloat():
		v.SetFloat(v.Float() + 1)
	case v.Kind() == reflect.Bool:
		v.SetBool(!v.Bool())
	case v.Kind() == reflect.String && v.String() != "~":
		v.SetString("~")
	case v.Kind() == reflect.String:
		v.SetString("-")
	default:
		return false
	}
	return true
}

func hasSnapshot(t reflect.Type) bool {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type == reflect.TypeFor[occ.Snapshot]() || f.Anonymous && f.Type.Kind() == reflect.Struct && hasSnapshot(f.Type) {
			return true
		}
	}
	return false
}
