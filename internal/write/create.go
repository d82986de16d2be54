package write

import (
	"fmt"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/tx"
)

// guardCreate gives new rows their first version, and keeps an INSERT from overwriting rows that are there.
func (e *Engine) guardCreate(db *gorm.DB) {
	c, ok := callOf(db)
	if !ok {
		e.Gorm.create(db)
		return
	}
	if c.isQuiet {
		c.isGuarded = true
		return
	}
	c.guard(c.create, "ON CONFLICT", "RETURNING", "VALUES")
}

func (c *Call) create() (int64, error) {
	keepAddressable(c.Stmt)
	return c.planOf(nil).touching(nil, func() (int64, error) {
		given, isUpsert := c.Stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
		create := creation{c, given, isUpsert}
		if c.Model.Compares() != nil { // what is read afterwards must not be what somebody else has written
			return c.within(create.run)
		}
		return create.run()
	})
}

// creation is an INSERT of GORM's, which is for a Create, an upsert, a Save or associations.
type creation struct {
	*Call
	given    clause.OnConflict // as the caller or GORM gave it
	isUpsert bool
}

// run chooses what the INSERT is for.
func (c creation) run() (int64, error) {
	skips, replaces := c.Dialect.ModeOf(insertModifier(c.Stmt))
	switch {
	case c.Model.Version == nil:
		return c.execute(c.DB, c.Plugin.Gorm.create)
	case replaces:
		return 0, fmt.Errorf("occ: model %s has a version: an INSERT with %q would replace rows without comparing it: use clause.OnConflict: %w",
			c.Model.Name, insertModifier(c.Stmt), gorm.ErrInvalidData)
	case c.switches.Expects && (!c.isUpsert || c.given.DoNothing) && !isSaveOfZeroPart(&c.Site):
		return 0, fmt.Errorf("occ: model %s: Expect on a Create that updates no row: there is nothing to compare with: %w", c.Model.Name, gorm.ErrInvalidData)
	case skips && !c.isUpsert:
		return c.insertIgnoring()
	case c.isUpsert && c.given.UpdateAll && c.isSaveOfMissing():
		return c.insertMissing()
	case c.isUpsert && c.isSaveOfSlice(c.given) && !isOfPayloads(&c.Site):
		return c.saveSlice()
	case c.isUpsert && c.given.DoNothing:
		return c.insertOrSkip()
	case c.isUpsert && c.isLinked:
		return c.relink(c.given)
	case c.isUpsert:
		return c.upsert(c.given)
	case isSaveOfZeroPart(&c.Site):
		return c.saveZeroPart()
	}
	return c.insert()
}

// insertIgnoring inserts models one by one where the database may leave some alone without saying which. Those keep the
// version that they had, and get no key.
func (c creation) insertIgnoring() (int64, error) {
	hand := c.candidates()
	if c.DB.DryRun || len(hand) == 0 {
		return c.insert() // maps, or no write at all
	}
	return c.allOrNone(func() (inserted int64, err error) {
		for _, r := range hand {
			affected, err := withModels(&c.Site, []reflect.Value{r.Model}, c.insert)
			if err != nil {
				return 0, err
			}
			if affected == 0 {
				forgetKey(&c.Site, r)
			}
			inserted += affected
		}
		return inserted, nil
	})
}

// keepAddressable copies a model that was passed by value, since the first version is written to it.
func keepAddressable(stmt *gorm.Statement) {
	passed := stmt.ReflectValue
	if values, ok := stmt.Dest.([]map[string]any); ok { // GORM panics on it where it reads keys back
		stmt.Dest = &values
	}
	if passed.CanAddr() || (passed.Kind() != reflect.Struct && passed.Kind() != reflect.Array) {
		return
	}
	stmt.ReflectValue = reflect.New(passed.Type()).Elem()
	stmt.ReflectValue.Set(passed)
	stmt.Dest = stmt.ReflectValue.Addr().Interface()
}

// isSaveOfMissing reports whether an INSERT is that of a Save whose UPDATE found no row.
func (c creation) isSaveOfMissing() bool {
	_, isAhead := c.Stmt.Clauses[savingClause]
	return c.Stmt.ReflectValue.Kind() == reflect.Struct && c.Stmt.SkipHooks && !c.switches.Unchecked &&
		!c.Plugin.BlindWrites && (isAhead || tx.CalledBySave())
}

// insertMissing inserts a model that Save did not find. If the row is there after all, because another session was faster
// or because it is soft-deleted, it is not overwritten: the write is refused.
func (c creation) insertMissing() (int64, error) {
	p, err := c.planFor(c.Stmt.ReflectValue, nil)
	if err != nil {
		return 0, err
	}
	p.op = conflict.OpUpdate
	p.by.Own = c.Stmt.Clauses["WHERE"]
	insertOnly(&c.Site)
	affected, err := c.insert()
	switch {
	case c.DB.DryRun || len(p.rows) == 0:
	case err == nil && affected == 0:
		return 0, p.refuseUninserted()
	case isDuplicateKey(c.Dialect, err):
		return 0, p.refuseDuplicate(err)
	}
	return affected, err
}

// refuseUninserted ends an INSERT that wrote nothing. Where the row is not there either, a trigger may have left it out:
// that it was deleted would be a guess.
func (p *plan) refuseUninserted() error {
	if state, err := p.Read(p.rows[0].Key); err == nil && !state.IsThere {
		return p.refuseAll(nil, p.pointers()...)
	}
	return p.settleUnwritten()
}

// insertOnly makes an upsert an INSERT that leaves a row of the same key alone. Other unique keys stay an error.
func insertOnly(s *rows.Site) {
	if !s.Dialect.ConflictTarget {
		delete(s.Stmt.Clauses, "ON CONFLICT")
		return
	}
	only := clause.OnConflict{DoNothing: true}
	for _, field := range s.Model.PrimaryFields {
		only.Columns = append(only.Columns, clause.Column{Name: field.DBName})
	}
	s.Stmt.AddClause(only)
}

// refuseDuplicate turns the database's duplicate key into a refusal where the key is the primary key.
func (p *plan) refuseDuplicate(duplicate error) error {
	if state, err := p.Read(p.rows[0].Key); err == nil && state.IsThere {
		return p.settleUnwritten()
	}
	return duplicate
}

// isSaveOfZeroPart reports whether an INSERT is that of a Save of one model with a zero part of its key. GORM inserts such a
// model. But where nothing else can give that part its value, zero is the value, and a row with it may be there.
func isSaveOfZeroPart(s *rows.Site) bool {
	if s.Stmt.ReflectValue.Kind() != reflect.Struct || len(s.Model.PrimaryFields) < 2 || s.KeyOf(s.Stmt.ReflectValue) == nil {
		return false
	}
	for _, field := range s.Model.PrimaryFields {
		if _, isZero := field.ValueOf(s.Ctx, s.Stmt.ReflectValue); isZero && (field.AutoIncrement || field.HasDefaultValue) {
			return false
		}
	}
	return tx.CalledBySave()
}

// saveZeroPart does what Save does with any other key: it updates a loaded model and inserts a new one.
func (c creation) saveZeroPart() (int64, error) {
	isNew := c.Model.Version.Kind.IsZero(c.Model.Version.Of(c.Ctx, c.Stmt.ReflectValue)) && !c.switches.Expects
	if isNew && !c.switches.Unchecked && !c.Plugin.BlindWrites {
		return c.insertMissing()
	}
	return c.saveSlice()
}

// isEndOfSave reports whether an INSERT is that of a Save whose UPDATE rightly wrote nothing: the row is current, but the
// caller's own conditions did not hold. Of a loaded model there is no other INSERT: it is refused or updated, never inserted.
func (c *Call) isEndOfSave() bool {
	conflict, isUpsert := c.Stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	if !isUpsert || !conflict.UpdateAll || !c.Stmt.SkipHooks || c.Model.Version == nil || c.switches.Unchecked {
		return false
	}
	model := c.Stmt.ReflectValue
	return c.Model.IsModel(model) && (c.switches.Expects || !c.Model.Version.Kind.IsZero(c.Model.Version.Of(c.Ctx, model))) && tx.CalledBySave()
}

// endSave has GORM insert nothing, and save no associations: the UPDATE has saved them.
func (c *Call) endSave() {
	c.isQuiet = true
	c.Stmt.Selects, c.Stmt.Omits = nil, []string{clause.Associations}
}
