package write

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/intent"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/session"
	"github.com/gorm-occ/occ/internal/tx"
	"github.com/gorm-occ/occ/internal/value"
)

var errOneTable = errors.New("occ: models of several types, and a db with a Table of its own: pass the models of one type")

// TouchModels is Touch.
func (e *Engine) TouchModels(db *gorm.DB, models []any) error {
	return e.eachTable(db, models, func(tx *gorm.DB, t table) error {
		switch version := t.model.Version; {
		case version.PutImage != nil:
			return fmt.Errorf("occ: Touch of model %s: it has a Snapshot, and no version that could be written", t.model.Name)
		case version.ByDatabase:
			return t.plugin.Atomically(tx, func() error { return t.touchByDatabase(tx) })
		}
		return t.touch(tx)
	})
}

func (t table) touch(tx *gorm.DB) error {
	return tx.Clauses(&intent.Touch{Indexes: t.indexes}).Model(t.dest()).UpdateColumns(map[string]any{}).Error
}

// touchByDatabase makes sure that the database has written other versions: a trigger may mind only what is changed.
func (t table) touchByDatabase(tx *gorm.DB) error {
	version, ctx := t.model.Version, tx.Statement.Context
	before := make([]any, len(t.models))
	for i, model := range t.models {
		before[i] = version.Of(ctx, model)
	}
	if err := t.touch(tx.Session(&gorm.Session{SkipHooks: true})); err != nil {
		return err
	}
	for i, model := range t.models {
		if version.Kind.IsSame(before[i], version.Of(ctx, model)) {
			return fmt.Errorf("occ: model %s, field %s: the database writes no other version where nothing else changes: it cannot be touched", t.model.Name, version.Name)
		}
	}
	return nil
}

// outOfReach is the error of a Touch whose db has scopes that leave a row out: it promises to write all of them.
func (p *plan) outOfReach() error {
	if p.op != conflict.OpTouch {
		return nil
	}
	return fmt.Errorf("occ: Touch of model %s: the scopes of db leave out a row: %w", p.Model.Name, gorm.ErrRecordNotFound)
}

// VerifyModels is Verify.
func (e *Engine) VerifyModels(db *gorm.DB, models []any) error {
	return e.eachTable(db, models, func(tx *gorm.DB, t table) error {
		c := t.call(tx, conflict.OpVerify)
		p, err := c.planFor(value.Indirect(reflect.ValueOf(t.dest())), nil)
		if err != nil {
			return err
		}
		defer c.report()
		return p.verify(shareLock(tx))
	})
}

// shareLock returns the lock that keeps rows as they are until a transaction ends. Without one it would end with the
// statement, and those that may only read must not ask for it.
func shareLock(db *gorm.DB) string {
	if !tx.IsTransaction(db.Statement.ConnPool) {
		return ""
	}
	return clause.LockingStrengthShare
}

// table is the models of one call that are in one table.
type table struct {
	plugin  *Engine
	model   *model.Model
	models  []reflect.Value // structs
	indexes []int
}

// dest is the models as GORM takes them: one alone needs no slice.
func (t table) dest() any {
	if len(t.models) == 1 {
		return t.models[0].Addr().Interface()
	}
	dest := reflect.New(reflect.SliceOf(reflect.PointerTo(t.model.ModelType)))
	for _, model := range t.models {
		dest.Elem().Set(reflect.Append(dest.Elem(), model.Addr()))
	}
	return dest.Interface()
}

// call is one that does not come through GORM's callbacks.
func (t table) call(db *gorm.DB, op conflict.Op) *Call {
	db = db.Model(t.model.NewModel())
	_ = db.AddError(db.Statement.Parse(db.Statement.Model))
	c := t.plugin.newCall(db, t.model, op)
	c.switches.Touch = &intent.Touch{Indexes: t.indexes}
	return c
}

// eachTable does something to models, table by table: to all of them or to none.
func (e *Engine) eachTable(db *gorm.DB, models []any, do func(*gorm.DB, table) error) error {
	if err := intent.RefuseExpect(db, "Touch or Verify"); err != nil {
		return err
	}
	tables, err := e.tablesOf(db, models)
	if err != nil || len(tables) == 0 {
		return err
	}
	if len(tables) > 1 && db.Statement.TableExpr != nil {
		return errOneTable
	}
	tx := session.NewCall(db)
	each := func() error {
		for _, t := range tables {
			if err := do(tx.Session(&gorm.Session{SkipHooks: true}), t); err != nil {
				return err
			}
		}
		return nil
	}
	if len(tables) == 1 {
		return each()
	}
	return e.Atomically(tx, each)
}

func (e *Engine) tablesOf(db *gorm.DB, models []any) (tables []table, err error) {
	index := 0
	for _, passed := range models {
		for _, model := range value.Elements(reflect.ValueOf(passed)) {
			if tables, err = e.addToTable(db, tables, model, index); err != nil {
				return nil, err
			}
			index++
		}
	}
	slices.SortStableFunc(tables, func(a, b table) int { return strings.Compare(a.model.Table, b.model.Table) }) // calls that lock the same tables do it in one order
	return tables, nil
}

func (e *Engine) addToTable(db *gorm.DB, tables []table, model reflect.Value, index int) ([]table, error) {
	if !model.IsValid() {
		return nil, fmt.Errorf("occ: model %d is nil: %w", index, gorm.ErrInvalidValue)
	}
	if model.Kind() != reflect.Struct || !model.CanAddr() {
		return nil, fmt.Errorf("occ: model %d is a %s: pass a pointer to a struct or a slice of them: %w", index, model.Type(), gorm.ErrInvalidValue)
	}
	parsed := &gorm.Statement{DB: db}
	if err := parsed.Parse(model.Addr().Interface()); err != nil {
		return nil, fmt.Errorf("occ: model %d: %w", index, err)
	}
	m := e.ModelOfSchema(parsed.Schema)
	switch {
	case m.Err != nil:
		return nil, m.Err
	case m.Version == nil:
		return nil, fmt.Errorf("occ: model %s has no version", m.Name)
	case e.newCall(db, m, conflict.OpTouch).KeyOf(model) == nil:
		return nil, fmt.Errorf("occ: model %d, a %s, has no primary key: %w", index, m.Name, gorm.ErrPrimaryKeyRequired)
	}
	at := slices.IndexFunc(tables, func(t table) bool { return t.model == m })
	if at < 0 {
		at, tables = len(tables), append(tables, table{plugin: e, model: m})
	}
	tables[at].models = append(tables[at].models, model)
	tables[at].indexes = append(tables[at].indexes, index)
	return tables, nil
}
