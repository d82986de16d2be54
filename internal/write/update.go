package write

import (
	"fmt"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/rows"
)

// guarded makes sure that a write did go through the plugin's callback: whoever has replaced it since has sent the statement
// unchecked. GORM's default transaction is then rolled back.
func (e *Engine) guarded(db *gorm.DB) {
	if w, ok := callOf(db); ok && !w.isGuarded {
		_ = db.AddError(fmt.Errorf("occ: model %s: the write was not checked: another plugin has replaced GORM's callback after db.Use(occ.New()); register that plugin first", w.Model.Name))
	}
}

// guardUpdate makes the UPDATE conditional on the version the caller read and has it write the next one.
func (e *Engine) guardUpdate(db *gorm.DB) {
	w, ok := callOf(db)
	if !ok {
		e.Gorm.update(db)
		return
	}
	w.isGuarded = true
	w.keepClauses("WHERE", "SET", "RETURNING", softDeleteMark)
	defer w.giveBackClauses()
	w.keepReturnable()
	payload, err := w.payloadVersion()
	if err == nil {
		err = w.identify(w.updated(), payload)
	}
	if db.AddError(err) != nil {
		return
	}
	w.Own = db.Statement.Clauses["WHERE"]
	w.takePayload()
	w.choosing(w.updateAs)
}

func (c *Call) updateAs() {
	c.catchUp(c.pointers())
	c.isWhole = c.isWholeRow()
	set := c.assignments()
	defer c.keepKeys()
	switch isEmpty := len(set) == 0 && !c.isWholeRow() && c.switches.Touch == nil; {
	case c.DB.Error != nil:
	case !isEmpty:
		c.update(set)
	case c.expects && !c.DB.DryRun:
		c.verifyExpected()
	}
}

// keepReturnable copies a model that was passed by value where GORM is going to scan what RETURNING gives into it.
func (c *Call) keepReturnable() {
	passed := c.Stmt.ReflectValue
	if _, returning := c.Stmt.Clauses["RETURNING"]; !returning || passed.Kind() != reflect.Struct || passed.CanAddr() {
		return
	}
	c.Stmt.ReflectValue = reflect.New(passed.Type()).Elem()
	c.Stmt.ReflectValue.Set(passed)
}

// keepKeys gives models the keys back that the payload was to change, where nothing was written: a model must not name
// another row than the one that its version is of.
func (c *Call) keepKeys() {
	if c.DB.Error == nil && c.DB.RowsAffected > 0 && !c.DB.DryRun {
		return
	}
	for _, r := range c.rows {
		for i := range r.Key {
			field := c.Model.PrimaryFields[i]
			if value, _ := field.ValueOf(c.Ctx, r.Model); r.Model.CanAddr() && !reflect.DeepEqual(value, r.Key[i]) {
				_ = field.Set(c.Ctx, r.Model, r.Key[i])
			}
		}
	}
}

// takePayload finds out whether the payload is itself a model of the one row that is written, as in
// Model(&T{ID: id}).Updates(&loaded). It is advanced along with it.
func (c *Call) takePayload() {
	dest := reflect.ValueOf(c.Stmt.Dest)
	if len(c.rows) != 1 || c.Model.Version == nil || dest.Kind() != reflect.Pointer || dest.Type().Elem() != c.Model.ModelType || dest.IsNil() || c.destIsModel() {
		return
	}
	payload := dest.Elem()
	if key := c.KeyOf(payload); key != nil {
		before := c.Model.Version.Of(c.Ctx, payload)
		c.payload = &rows.Row{Model: payload, Key: key, Before: before, Expected: before}
	}
}

// updated is the model or models that an update is about; a map or another model on the same table names no row.
func (c *Call) updated() reflect.Value {
	if c.Stmt.Schema == nil {
		return reflect.Value{}
	}
	return c.Stmt.ReflectValue
}

// update runs the UPDATE with the assignments that the caller asked for, in the way the write deserves.
func (c *Call) update(set clause.Set) {
	if c.isUncounted(set) {
		c.updateUncounted(set)
		return
	}
	c.touching(set, func() { c.updateCounted(set) })
}

// updateUncounted runs an UPDATE that leaves the version as it is. What the caller said of the version is compared even so.
func (c *Call) updateUncounted(set clause.Set) {
	switch {
	case !c.expects || c.DB.DryRun:
		c.updateUncompared(set)
	case len(c.rows) == 1 && !c.Model.Version.ByDatabase && (c.rows[0].Key != nil || !c.Dialect.CountsChangedRows):
		c.updateAtVersion(set)
	default:
		c.within(func() error {
			if c.verifyExpected(); c.DB.Error == nil {
				c.updateUncompared(set)
			}
			return c.DB.Error
		})
	}
}

// updateAtVersion runs an UPDATE of a row that is still at the expected version, and leaves it there.
func (c *Call) updateAtVersion(set clause.Set) {
	if !c.namesRows() {
		return
	}
	c.Counters().Checked.Add(1)
	c.keepsVersion = true
	c.rows[0].Next = c.rows[0].Expected
	c.whereRow(true)
	c.run(set, c.Plugin.Gorm.update)
	c.check()
}

// verifyExpected compares rows with the expected version and writes nothing.
func (c *Call) verifyExpected() {
	if !c.namesRows() {
		return
	}
	c.Counters().Checked.Add(1)
	rows, states, err := c.lockExpected()
	switch isByCondition := c.rows[0].Key == nil; {
	case err != nil:
		c.failRows(c.pointers(), err)
	case isByCondition:
		c.verifyMatched(rows, states)
	case !c.areCurrent(rows, states):
		c.refuseRows(rows, states, nil)
	}
}

// verifyMatched refuses a write by conditions that match no row at the expected version.
func (c *Call) verifyMatched(rows []*rows.Row, states []rows.State) {
	for i, r := range rows {
		if r.Expected = c.rows[0].Expected; c.isCurrent(r, states[i]) {
			return
		}
	}
	c.Refuse(nil)
}

// updateUncompared runs the UPDATE as GORM would.
func (c *Call) updateUncompared(set clause.Set) {
	switch {
	case c.Model.Version == nil:
		c.Plugin.Gorm.update(c.DB)
	case len(c.rows) > 1:
		c.updateSeveralUncompared(set)
	default:
		c.whereRow(false)
		c.run(set, c.Plugin.Gorm.update)
	}
}

func (c *Call) updateCounted(set clause.Set) {
	if c.Model.Version == nil {
		c.updateUncompared(set)
		return
	}
	if c.hasSnapshots() {
		c.chooseColumns(set)
	}
	switch {
	case len(c.rows) > 1:
		c.updateSeveral(set)
	case len(c.rows) == 0 || c.isBlind():
		c.writeUnchecked(set, c.Plugin.Gorm.update)
	default:
		if c.DB.AddError(c.setNext()) != nil {
			return
		}
		c.writeCompared(c.andVersion(set, c.rows[0].Next), c.Plugin.Gorm.update)
	}
}

// assignments are what the payload sets, less what the plugin answers for. GORM's own conversion copies the payload into
// the model and adds conditions on the key; the version and the conditions are put back.
func (c *Call) assignments() clause.Set {
	where, hadWhere := c.Stmt.Clauses["WHERE"]
	c.Own = where
	var set clause.Set
	if given, ok := c.Stmt.Clauses["SET"]; ok {
		assignments, _ := given.Expression.(clause.Set)
		set = append(set, assignments...)
	} else {
		set = callbacks.ConvertToAssignments(c.Stmt)
	}
	c.putBack()
	switch {
	case c.keepsKey(where):
	case hadWhere:
		c.Stmt.Clauses["WHERE"] = where
	default:
		delete(c.Stmt.Clauses, "WHERE")
	}
	return c.withoutVersion(set)
}

// versionAlone reports as an error a write of nothing but the version, as an expression: it would be left out, and nothing
// would happen.
func (c *Call) versionAlone(set clause.Set) error {
	for _, assignment := range set {
		if c.isVersionColumn(assignment.Column.Name) && clauses.IsExpression(assignment.Value) {
			return fmt.Errorf("occ: model %s, field %s: a write of the version alone, as an expression: call occ.Touch to write the next version and nothing else: %w",
				c.Model.Name, c.Model.Version.Name, gorm.ErrInvalidData)
		}
	}
	return nil
}

// writeNow has a statement about rows in hand see them as they are, where they are newer than the transaction's snapshot: it
// finds them changed then, and is no error that ends the transaction.
func (c *Call) writeNow() {
	settings := c.Dialect.Settings(false)
	if settings == nil {
		return
	}
	c.keepClauses("UPDATE", "DELETE")
	for _, name := range []string{"UPDATE", "DELETE"} {
		found := c.Stmt.Clauses[name]
		found.BeforeExpression = settings
		c.Stmt.Clauses[name] = found
	}
}
