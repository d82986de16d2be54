package write

import (
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
)

// guardUpdate makes the UPDATE conditional on the version the caller read and has it write the next one.
func (e *Engine) guardUpdate(db *gorm.DB) {
	c, ok := callOf(db)
	if !ok {
		e.Gorm.update(db)
		return
	}
	c.guard(c.update, "WHERE", "SET", "RETURNING", softDeleteMark)
}

func (c *Call) update() (int64, error) {
	keepReturnable(c.Stmt)
	payload, err := c.payload().version()
	if err != nil {
		return 0, err
	}
	p, err := c.planFor(updated(c.Stmt), payload)
	if err == nil {
		err = p.checkModifiers()
	}
	if err != nil {
		return 0, err
	}
	p.by.Own = c.Stmt.Clauses["WHERE"]
	p.takePayload()
	return p.choosing(p.update)
}

// update writes the rows of the plan, once it is known which version each is expected to be at.
func (p *plan) update() (affected int64, err error) {
	if p.isPartOfCall() {
		p.catchUp(p.pointers())
	}
	p.isWhole = isWholeRow(p.Stmt)
	defer func() {
		if err != nil || affected == 0 || p.DB.DryRun {
			p.keepKeys()
		}
	}()
	set, err := p.assignments()
	switch {
	case err != nil:
		return 0, err
	case len(set) > 0 || p.isWhole || p.switches.Touch != nil:
		return p.updateSet(set)
	case p.expects && !p.DB.DryRun:
		return 0, p.verifyExpected()
	}
	return 0, nil
}

// keepReturnable copies a model that was passed by value where GORM is going to scan what RETURNING gives into it.
func keepReturnable(stmt *gorm.Statement) {
	passed := stmt.ReflectValue
	if _, returning := stmt.Clauses["RETURNING"]; !returning || passed.Kind() != reflect.Struct || passed.CanAddr() {
		return
	}
	stmt.ReflectValue = reflect.New(passed.Type()).Elem()
	stmt.ReflectValue.Set(passed)
}

// keepKeys gives models the keys back that the payload was to change, where nothing was written. A model must not name another
// row than the one that its version is of.
func (p *plan) keepKeys() {
	for _, r := range p.rows {
		for i := range r.Key {
			field := p.Model.PrimaryFields[i]
			if value, _ := field.ValueOf(p.Ctx, r.Model); r.Model.CanAddr() && !reflect.DeepEqual(value, r.Key[i]) {
				_ = field.Set(p.Ctx, r.Model, r.Key[i])
			}
		}
	}
}

// takePayload finds out whether the payload is itself a model of the one row that is written, as in
// Model(&T{ID: id}).Updates(&loaded). It is advanced along with it.
func (p *plan) takePayload() {
	dest := reflect.ValueOf(p.Stmt.Dest)
	if len(p.rows) != 1 || p.Model.Version == nil || dest.Kind() != reflect.Pointer || dest.Type().Elem() != p.Model.ModelType || dest.IsNil() || destIsModel(p.Stmt) {
		return
	}
	if payload := p.rowOf(0, dest.Elem()); payload.Key != nil {
		p.rows[0].Copies = []*rows.Row{&payload}
	}
}

// updated returns the model or models that an update is about; a map or another model on the same table names no row.
func updated(stmt *gorm.Statement) reflect.Value {
	if stmt.Schema == nil {
		return reflect.Value{}
	}
	return stmt.ReflectValue
}

// updateSet runs the UPDATE with the assignments that the caller asked for, in the way the write deserves.
func (p *plan) updateSet(set clause.Set) (int64, error) {
	p.renames = setsKey(p.Model, set)
	if p.leavesVersion(set) {
		return p.updateUncounted(set)
	}
	return p.touching(set, func() (int64, error) { return p.updateCounted(set) })
}

// setsKey reports whether assignments give a row another primary key.
func setsKey(m *model.Model, set clause.Set) bool {
	return slices.ContainsFunc(set, func(assignment clause.Assignment) bool {
		field := m.FieldOf(assignment.Column.Name)
		return field != nil && slices.Contains(m.PrimaryFields, field)
	})
}

// updateUncounted runs an UPDATE that leaves the version as it is. What the caller said of the version is compared even so.
func (p *plan) updateUncounted(set clause.Set) (int64, error) {
	switch {
	case !p.expects || p.DB.DryRun:
		return p.updateUncompared(set)
	case len(p.rows) == 1 && !p.Model.Version.ByDatabase && (p.rows[0].Key != nil || !p.Dialect.CountsChangedRows):
		return p.updateAtVersion(set)
	}
	return p.within(func() (int64, error) {
		if err := p.verifyExpected(); err != nil {
			return 0, err
		}
		return p.updateUncompared(set)
	})
}

// updateAtVersion runs an UPDATE of a row that is still at the expected version, and leaves it there.
func (p *plan) updateAtVersion(set clause.Set) (int64, error) {
	if err := p.namesRows(); err != nil {
		return 0, err
	}
	p.Counters().Checked.Add(1)
	p.keepsVersion = true
	p.rows[0].Next = p.rows[0].Expected
	p.whereRow(true)
	return p.settle(p.run(set, p.Plugin.Gorm.update))
}

// verifyExpected compares rows with the expected version and writes nothing.
func (p *plan) verifyExpected() error {
	if err := p.namesRows(); err != nil {
		return err
	}
	p.Counters().Checked.Add(1)
	hand, states, err := p.lockExpected()
	switch isByCondition := p.rows[0].Key == nil; {
	case err != nil:
		return p.orRefusal(err, p.pointers()...)
	case isByCondition:
		return p.verifyMatched(hand, states)
	case !p.areCurrent(hand, states):
		return p.refuseRows(hand, states)
	}
	return nil
}

// verifyMatched refuses a write by conditions that match no row at the expected version.
func (p *plan) verifyMatched(hand []*rows.Row, states []rows.State) error {
	for i, r := range hand {
		if r.Expected = p.rows[0].Expected; p.isCurrent(r, states[i]) {
			return nil
		}
	}
	return p.settleUnwritten()
}

// updateUncompared runs the UPDATE as GORM would.
func (p *plan) updateUncompared(set clause.Set) (int64, error) {
	switch {
	case p.Model.Version == nil:
		return p.execute(p.DB, p.Plugin.Gorm.update)
	case len(p.rows) > 1:
		return p.updateSeveralUncompared(set)
	}
	p.whereRow(false)
	return p.run(set, p.Plugin.Gorm.update)
}

// updateCounted runs an UPDATE that writes the next version.
func (p *plan) updateCounted(set clause.Set) (int64, error) {
	if p.Model.Version == nil {
		return p.updateUncompared(set)
	}
	p.compareFor(set)
	switch {
	case len(p.rows) > 1:
		return p.updateSeveral(set)
	case len(p.rows) == 0 || p.isBlind():
		return p.writeUnchecked(set, p.Plugin.Gorm.update)
	}
	if err := p.setNext(&p.rows[0]); err != nil {
		return 0, err
	}
	return p.writeCompared(p.andVersion(set, p.rows[0].Next), p.Plugin.Gorm.update)
}

// updateSeveral is the UPDATE of the models of a slice with one payload.
func (p *plan) updateSeveral(set clause.Set) (int64, error) {
	p.keepFrom()
	return p.writePartitioned(func(hand []*rows.Row, compared bool) severalWrite {
		return p.advancing(set, hand, compared, p.Plugin.Gorm.update).severalWrite()
	})
}

// keepFrom keeps the clauses that an UPDATE of several rows changes, and the tables that the caller updates from. They become part
// of the FROM of the values.
func (p *plan) keepFrom() {
	p.before.keep("UPDATE", "FROM")
	if slices.Contains(p.Stmt.BuildClauses, "FROM") {
		p.by.From, _ = p.Stmt.Clauses["FROM"].Expression.(clause.From)
	}
}

// updateSeveralUncompared is the UPDATE of the models of a slice with one payload that leaves their versions.
func (p *plan) updateSeveralUncompared(set clause.Set) (int64, error) {
	p.keepFrom()
	update := p.batchOf(p.KeyColumns(&p.by), set, p.Plugin.Gorm.update)
	return p.writeAsTheyAre(p.pointers(), severalWrite{send: update.run, written: update.giveReturned})
}

// assignments returns what the payload sets, less what the plugin answers for. GORM's own conversion copies the payload into
// the model and adds conditions on the key; the version and the conditions are put back.
func (p *plan) assignments() (clause.Set, error) {
	var set clause.Set
	var err error
	if given, ok := p.Stmt.Clauses["SET"]; ok {
		assignments, _ := given.Expression.(clause.Set)
		set = append(set, assignments...)
	} else {
		_, err = p.execute(p.DB, func(db *gorm.DB) { set = callbacks.ConvertToAssignments(db.Statement) })
	}
	p.putBack()
	if !p.keepsKey() {
		before, had := p.before.of("WHERE")
		setClause(p.Stmt, "WHERE", before, had)
	}
	if err != nil {
		return nil, err
	}
	return p.payload().withoutVersion(set, p.roomForSet(len(set)+1))
}

// guarded makes sure that a write did go through the plugin's callback: whoever has replaced it since has sent the statement
// unchecked. GORM's default transaction is then rolled back.
func (e *Engine) guarded(db *gorm.DB) {
	if c, ok := callOf(db); ok && !c.isGuarded {
		_ = db.AddError(fmt.Errorf("occ: model %s: the write was not checked: another plugin has replaced GORM's callback after db.Use(occ.New()); register that plugin first", c.Model.Name))
	}
}
