package write

import (
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/batch"
	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/rows"
)

// Which row an INSERT ... ON CONFLICT meets is the database's to say: a partial index, an expression or a collation decide
// with it. The upsert of models whose rows have to be known beforehand reads and locks those rows by the same target,
// sends the caller's own statement, and then looks at the rows that it wrote.

// upsertLocked is the upsert of loaded models: it writes the rows of their conflict target, if those are at the expected
// versions, and inserts none.
func (c *Call) upsertLocked(conflict clause.OnConflict, loaded []rows.Row) {
	c.Counters().Checked.Add(1)
	c.rows = loaded
	if c.DB.DryRun {
		c.withModels(loaded, c.overwrite)
		return
	}
	c.together(func() {
		hand, states, err := c.lockTarget(conflict, c.pointers())
		defer func() { c.Lookup = rows.Lookup{Own: c.Own} }()
		switch {
		case c.DB.Error != nil:
		case err != nil:
			c.failRows(hand, err)
		case !c.chooseAmong(hand, states):
		case !c.areCurrent(hand, states):
			c.refuseRows(hand, states, nil)
		default:
			c.sendLocked(hand, states, false)
		}
	})
}

// lockTarget locks the rows of the conflict target of models and reads their states. It leaves the lookup set to the
// target, for those who name the rows.
func (c *Call) lockTarget(conflict clause.OnConflict, rows []*rows.Row) ([]*rows.Row, []rows.State, error) {
	if c.DB.AddError(c.setTarget(conflict)) != nil {
		return nil, nil, nil
	}
	for _, r := range rows {
		if r.Key = c.KeyOf(r.Model); r.Key == nil {
			_ = c.DB.AddError(c.errNoTarget())
			return nil, nil, nil
		}
	}
	states, err := c.lockRows(rows)
	return rows, states, err
}

func (c *Call) errNoTarget() error {
	return fmt.Errorf("occ: model %s has a version, but nothing in the columns of the conflict: %w", c.Model.Name, gorm.ErrPrimaryKeyRequired)
}

// setTarget has rows be found by the conflict target: its columns and, of a partial index, its condition.
func (c *Call) setTarget(conflict clause.OnConflict) error {
	if !c.isTargetKnown(conflict) {
		return fmt.Errorf("occ: model %s: the rows of this conflict target cannot be compared: name the plain columns of a unique index in OnConflict.Columns: %w",
			c.Model.Name, gorm.ErrInvalidData)
	}
	c.Identity, c.Target = c.conflictFields(conflict), nil
	if c.Dialect.ConflictTarget {
		c.Target = conflict.TargetWhere.Exprs
	}
	return nil
}

// isTargetKnown tells a conflict target that is columns of the model, from a constraint and from expressions.
func (c *Call) isTargetKnown(conflict clause.OnConflict) bool {
	if !c.Dialect.ConflictTarget {
		return len(c.conflictFields(conflict)) > 0 // it minds every unique key, and names none
	}
	for _, column := range conflict.Columns {
		if column.Raw || c.Model.LookUpField(column.Name) == nil {
			return false
		}
	}
	return conflict.OnConstraint == "" && len(c.conflictFields(conflict)) > 0
}

// isUpdate tells an upsert of loaded models that one UPDATE by the primary key can be, from one that only the caller's own
// INSERT ... ON CONFLICT can carry.
func (c *Call) isUpdate(conflict clause.OnConflict, set clause.Set) bool {
	isKeyed := c.isTargetKnown(conflict) && slices.Equal(c.conflictFields(conflict), c.Model.PrimaryFields)
	hasConditions := len(conflict.TargetWhere.Exprs)+len(conflict.Where.Exprs) > 0
	if !isKeyed || hasConditions && c.Dialect.ConflictTarget {
		return false
	}
	return !slices.ContainsFunc(set, func(a clause.Assignment) bool {
		column, isColumn := a.Value.(clause.Column)
		if !isColumn || column.Table != batch.Alias {
			return clauses.IsExpression(a.Value)
		}
		field := c.Model.LookUpField(column.Name)
		return field == nil || !field.Creatable || field.HasDefaultValue && field.DefaultValueInterface == nil
	})
}

// sendLocked sends the caller's INSERT ... ON CONFLICT for models whose rows are locked. New models may be inserted all the
// same, where the database finds no conflict.
func (c *Call) sendLocked(rows []*rows.Row, states []rows.State, areNew bool) {
	if c.DB.AddError(c.checkKeys(rows, states)) != nil {
		return
	}
	rows, states = c.onceByKey(rows, states)
	size, affected := len(rows), int64(0)
	if !c.Model.Version.IsAdvancedInSQL() {
		size = 1 // each has a next version of its own
	}
	for i := 0; i < len(rows) && c.DB.Error == nil; i += size {
		c.sendLockedPart(rows[i:i+size], states[i:i+size], areNew)
		affected += c.DB.RowsAffected
	}
	c.setRowsAffected(affected)
}

// checkKeys makes sure that the rows of the conflict target are those of the models' own primary keys, where they have
// one: else a model would hold the version of another row than the one that its key names.
func (c *Call) checkKeys(hand []*rows.Row, states []rows.State) error {
	for i, r := range hand {
		if c.isOwnRow(r.Model, states[i]) {
			continue
		}
		other := &rows.Row{Model: r.Model}
		by := c.Lookup
		c.Lookup = rows.Lookup{}
		other.Key = c.KeyOf(r.Model)
		named, err := c.ReadRows([]*rows.Row{other}, "")
		c.Lookup = by
		if err != nil {
			return err
		}
		if !named[0].IsThere || !c.isOwnRow(named[0].Model, states[i]) {
			return fmt.Errorf("occ: model %s, element %d: the row with its conflict columns has another primary key: load that row: %w",
				c.Model.Name, r.Index, gorm.ErrInvalidData)
		}
	}
	return nil
}

// isOwnRow tells whether a model has the key of a row, or none.
func (c *Call) isOwnRow(model reflect.Value, state rows.State) bool {
	fields := c.Model.PrimaryFields
	hasKey := slices.ContainsFunc(fields, func(field *schema.Field) bool {
		_, isZero := field.ValueOf(c.Ctx, model)
		return !isZero
	})
	return !hasKey || c.KeyText(model, fields) == c.KeyText(state.Model, fields)
}

// onceByKey are the rows, each once as the database tells them apart: of several models of one row, the last one is
// written and the others follow it.
func (c *Call) onceByKey(hand []*rows.Row, states []rows.State) (once []*rows.Row, theirs []rows.State) {
	first := map[string]*rows.Row{}
	for i, r := range hand {
		key := c.KeyText(states[i].Model, c.Model.PrimaryFields)
		if twin := first[key]; twin != nil {
			twin.Copies = append(twin.Copies, r)
			continue
		}
		first[key] = r
		once, theirs = append(once, r), append(theirs, states[i])
	}
	return once, theirs
}

func (c *Call) sendLockedPart(hand []*rows.Row, states []rows.State, areNew bool) {
	sent := make([]rows.Row, len(hand))
	for i, r := range hand {
		sent[i] = *r
		sent[i].Model = r.Latest()
		if c.DB.AddError(c.setNextAfter(r)) != nil {
			return
		}
	}
	c.withModels(sent, func() {
		written, conflict := c.sendApart(c.nextAfter(hand[0]))
		if c.DB.Error == nil {
			_ = c.DB.AddError(c.learnLocked(conflict, hand, states, written, areNew))
		}
	})
}

// nextAfter is the version that a statement gives a row: nil where SQL makes it.
func (c *Call) nextAfter(r *rows.Row) any {
	if c.Model.Version.IsAdvancedInSQL() {
		return nil
	}
	return c.Model.Version.Kind.Bind(r.Next)
}

// sendApart sends the upsert of the statement's models and returns the rows that came back, in models of their own: GORM
// takes the first row for the first model, and keys it has counted for those of rows.
func (c *Call) sendApart(next any) (written reflect.Value, conflict clause.OnConflict) {
	if c.Model.Version.ByDatabase && !c.hasSnapshots() {
		defer c.leaveOut(c.withoutVersions())()
	}
	numbered, err := c.numberInserted()
	defer numbered.putBack()
	if c.DB.AddError(err) != nil {
		return written, conflict
	}
	conflict = c.buildUpsert(next)
	target, dest := c.Stmt.ReflectValue, c.Stmt.Dest
	defer func() { c.Stmt.ReflectValue, c.Stmt.Dest = target, dest }()
	fresh := reflect.New(reflect.SliceOf(reflect.PointerTo(c.Model.ModelType)))
	c.Stmt.ReflectValue, c.Stmt.Dest = fresh.Elem(), fresh.Interface()
	c.Plugin.Gorm.create(c.DB)
	return fresh.Elem(), conflict
}

// numberInserted gives the models of an upsert their first versions, unless the database does.
func (c *Call) numberInserted() (numbering, error) {
	if c.Model.Version.ByDatabase {
		return numbering{w: c}, nil
	}
	numbered, err := c.number()
	if err == nil {
		c.bindInserted()
	}
	return numbered, err
}

// learnLocked gives the models whose rows a statement has written their keys and versions. A row that was written in place
// of one that was compared is an error.
func (c *Call) learnLocked(conflict clause.OnConflict, rows []*rows.Row, before []rows.State, written reflect.Value, areNew bool) error {
	byKey := map[string]reflect.Value{}
	for i := range written.Len() {
		byKey[c.KeyText(written.Index(i).Elem(), c.Model.PrimaryFields)] = written.Index(i).Elem()
	}
	now, err := c.readByKey(before)
	if err != nil {
		return err
	}
	met := int64(0)
	for i, r := range rows {
		key := c.KeyText(before[i].Model, c.Model.PrimaryFields)
		returned, isReturned := byKey[key]
		delete(byKey, key)
		isWritten := isReturned || !c.returns() && c.hasMoved(before[i], now[i])
		if isWritten {
			met++
			c.learnWritten(r, returned, now[i])
		} else if !areNew && len(conflict.Where.Exprs) == 0 && c.sets(conflict) {
			return c.errOtherRow(r)
		}
	}
	return c.learnStray(rows, byKey, areNew)
}

// hasMoved tells whether a locked row was written, where the statement does not say so.
func (c *Call) hasMoved(before, now rows.State) bool {
	if c.hasSnapshots() || c.Model.Version.ByDatabase {
		return now.IsThere
	}
	return !c.IsSame(before.Version, now.Version)
}

// sets tells whether an upsert moves the version on.
func (c *Call) sets(conflict clause.OnConflict) bool {
	return slices.ContainsFunc(conflict.DoUpdates, func(a clause.Assignment) bool { return c.isVersionColumn(a.Column.Name) })
}

func (c *Call) errOtherRow(r *rows.Row) error {
	return fmt.Errorf("occ: model %s, element %d: the database met another row than the one that was compared: name the columns and the condition of one unique index in OnConflict: %w",
		c.Model.Name, r.Index, gorm.ErrInvalidData)
}

// readByKey reads rows that were read before by their primary keys.
func (c *Call) readByKey(before []rows.State) ([]rows.State, error) {
	by := c.Lookup
	c.Lookup = rows.Lookup{}
	defer func() { c.Lookup = by }()
	hand := make([]*rows.Row, len(before))
	for i, state := range before {
		hand[i] = &rows.Row{Model: state.Model, Key: c.KeyOf(state.Model)}
	}
	return c.ReadRows(hand, "")
}

// learnWritten gives the models of a row what is stored of it now.
func (c *Call) learnWritten(r *rows.Row, returned reflect.Value, now rows.State) {
	for _, twin := range append([]*rows.Row{r}, r.Copies...) {
		for _, field := range c.Model.PrimaryFields {
			if _, isZero := field.ValueOf(c.Ctx, twin.Model); isZero {
				field.ReflectValueOf(c.Ctx, twin.Model).Set(field.ReflectValueOf(c.Ctx, now.Model))
			}
		}
		for _, field := range c.Model.FieldsWithDefaultDBValue {
			if returned.IsValid() && field.Readable && !field.PrimaryKey && field != c.Model.Version.Field {
				field.ReflectValueOf(c.Ctx, twin.Model).Set(field.ReflectValueOf(c.Ctx, returned))
			}
		}
		c.advance(twin, c.learned(twin, now.Version))
	}
}

// learnStray is for a row that was written and is none of those that were locked: a new model was inserted beside them.
func (c *Call) learnStray(rows []*rows.Row, strays map[string]reflect.Value, areNew bool) error {
	for _, stray := range strays {
		if !areNew || len(rows) != 1 {
			return c.errOtherRow(rows[0])
		}
		c.takeOver(rows[0].Index, rows[0].Latest(), stray)
	}
	return nil
}
