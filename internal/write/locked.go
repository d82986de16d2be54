package write

import (
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/rows"
)

// Which row an INSERT ... ON CONFLICT meets is the database's to say: a partial index, an expression or a collation decide
// with it. The upsert of models whose rows have to be known beforehand reads and locks those rows by the same target,
// sends the caller's own statement, and then looks at the rows that it wrote.

// overwriteLocked is the upsert of loaded models that no UPDATE can carry: it writes the rows of their conflict target, if
// those are at the expected versions, and inserts none.
func (u *upsert) overwriteLocked(p *plan) (int64, error) {
	u.Counters().Checked.Add(1)
	if u.DB.DryRun {
		return u.withModels(modelsOf(p.rows), u.overwrite)
	}
	return u.allOrNone(func() (int64, error) {
		hand, states, err := p.lockTarget(u.given)
		if err != nil {
			return 0, err
		}
		if err := p.chooseAmong(hand, states); err != nil {
			return 0, err
		}
		if !p.areCurrent(hand, states) {
			return 0, p.refuseRows(hand, states)
		}
		return u.sendLocked(p, hand, states, false)
	})
}

// writeKnown is the upsert of models that are not compared, with versions that SQL cannot move on: the rows that are there are
// read and locked, and written with the versions after theirs; the others are inserted.
func (u *upsert) writeKnown(others []rows.Row) (int64, error) {
	p := u.planOf(others)
	there, states, missing, err := p.lockStored(u.given)
	if err != nil {
		return 0, err
	}
	send := func() (int64, error) { return u.sendLocked(p, there, states, true) }
	insert := func() (int64, error) {
		if len(missing) == 0 {
			return 0, nil
		}
		models := make([]reflect.Value, len(missing))
		for i, r := range missing {
			models[i] = r.Model
		}
		return u.insertInstead(func() (int64, error) { return u.withModels(models, u.insert) })
	}
	return inTurn(send, insert)
}

// target returns how rows are found by a conflict target: by its columns and, of a partial index, its condition.
func (c *Call) target(conflict clause.OnConflict) (rows.Lookup, error) {
	if !c.isTargetKnown(conflict) {
		return rows.Lookup{}, fmt.Errorf("occ: model %s: the rows of this conflict target cannot be compared: name the plain columns of a unique index in OnConflict.Columns: %w",
			c.Model.Name, gorm.ErrInvalidData)
	}
	by := rows.Lookup{Identity: c.conflictFields(conflict)}
	if c.Dialect.ConflictTarget {
		by.Target = conflict.TargetWhere.Exprs
	}
	return by, nil
}

// isTargetKnown reports whether a conflict target is columns of the model, not a constraint or expressions.
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

// keyedByTarget gives the rows of the plan what their models hold in the columns of the target, as their keys, and returns
// those that hold anything.
func (p *plan) keyedByTarget() []*rows.Row {
	hand := p.pointers()
	for _, r := range hand {
		r.Key = p.KeyBy(p.by.Fields(p.Model), r.Model)
	}
	return keyed(hand)
}

// lockTarget has the rows of a plan be found by a conflict target, locks them and reads their states.
func (p *plan) lockTarget(conflict clause.OnConflict) (hand []*rows.Row, states []rows.State, err error) {
	if p.by, err = p.target(conflict); err != nil {
		return nil, nil, err
	}
	if hand = p.keyedByTarget(); len(hand) < len(p.rows) {
		return nil, nil, p.errNoTarget()
	}
	if states, err = p.lock(hand); err != nil {
		return nil, nil, p.orRefusal(err, hand...)
	}
	return hand, states, nil
}

// lockStored divides the models into those whose rows are there, with their states, and those whose rows are not.
func (p *plan) lockStored(conflict clause.OnConflict) (there []*rows.Row, theirs []rows.State, missing []*rows.Row, err error) {
	if p.by, err = p.target(conflict); err != nil {
		return nil, nil, nil, err
	}
	found := p.keyedByTarget()
	states, err := p.lock(found)
	if err != nil {
		return nil, nil, nil, err
	}
	for i, r := range found {
		if states[i].IsThere {
			r.Expected = states[i].Version
			there, theirs = append(there, r), append(theirs, states[i])
		}
	}
	for _, r := range p.pointers() {
		if !slices.Contains(there, r) {
			missing = append(missing, r)
		}
	}
	return there, theirs, missing, nil
}

// sendLocked sends the caller's INSERT ... ON CONFLICT for models whose rows are locked. New models may be inserted all the
// same, where the database finds no conflict.
func (u *upsert) sendLocked(p *plan, hand []*rows.Row, states []rows.State, areNew bool) (affected int64, err error) {
	if err := p.checkKeys(hand, states); err != nil {
		return 0, err
	}
	hand, states = p.onceByKey(hand, states)
	size := max(1, len(hand))
	if !u.Model.Version.IsAdvancedInSQL() {
		size = 1 // each has a next version of its own
	}
	for i := 0; i < len(hand); i += size {
		n, err := u.sendLockedPart(p, hand[i:i+size], states[i:i+size], areNew)
		if err != nil {
			return 0, err
		}
		affected += n
	}
	return affected, nil
}

// checkKeys makes sure that the rows of the conflict target are those of the models' own primary keys, where they have
// one: else a model would hold the version of another row than the one that its key names.
func (c *Call) checkKeys(hand []*rows.Row, states []rows.State) error {
	for i, r := range hand {
		if c.isOwnRow(r.Model, states[i]) {
			continue
		}
		other := &rows.Row{Model: r.Model, Key: c.KeyOf(r.Model)}
		named, err := c.ReadRows(rows.Query{}, []*rows.Row{other})
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

// isOwnRow reports whether a model has the key of a row, or none.
func (c *Call) isOwnRow(model reflect.Value, state rows.State) bool {
	fields := c.Model.PrimaryFields
	return !c.hasKey(model) || c.KeyText(model, fields) == c.KeyText(state.Model, fields)
}

// onceByKey returns the rows, each once as the database tells them apart: of several models of one row, the last one is
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

func (u *upsert) sendLockedPart(p *plan, hand []*rows.Row, states []rows.State, areNew bool) (int64, error) {
	models := make([]reflect.Value, len(hand))
	for i, r := range hand {
		models[i] = r.Latest()
		if err := p.setNextAfter(r, r.Expected); err != nil {
			return 0, err
		}
	}
	return u.withModels(models, func() (int64, error) {
		written, built, affected, err := u.sendApart(p.nextAfter(hand[0]))
		if err != nil {
			return 0, err
		}
		return affected, p.learnLocked(built, hand, states, written, areNew)
	})
}

// nextAfter returns the version that a statement gives a row: nil where SQL makes it.
func (c *Call) nextAfter(r *rows.Row) any {
	if c.Model.Version.IsAdvancedInSQL() {
		return nil
	}
	return c.Model.Version.Kind.Bind(r.Next)
}

// sendApart sends the upsert of the statement's models and returns the rows that came back, in models of their own.
func (u *upsert) sendApart(next any) (written reflect.Value, built clause.OnConflict, affected int64, err error) {
	if u.Model.Version.ByDatabase && u.Model.Compares() == nil {
		defer u.leaveOut(u.withoutVersions())()
	}
	numbered, err := u.numberInserted()
	defer numbered.putBack()
	if err != nil {
		return written, built, 0, err
	}
	built = u.buildUpsert(next)
	if err = u.keepUpdateTimes(built.DoUpdates); err != nil {
		return written, built, 0, err
	}
	written, affected, err = u.createApart()
	return written, built, affected, err
}

// numberInserted gives the models of an upsert their first versions, unless the database does.
func (u *upsert) numberInserted() (numbering, error) {
	if u.Model.Version.ByDatabase {
		return numbering{c: u.Call}, nil
	}
	numbered, err := u.number()
	if err == nil {
		u.bindInserted()
	}
	return numbered, err
}

// learnLocked gives the models whose rows a statement has written their keys and versions. A row that was written in place
// of one that was compared is an error.
func (p *plan) learnLocked(built clause.OnConflict, hand []*rows.Row, before []rows.State, written reflect.Value, areNew bool) error {
	byKey := map[string]reflect.Value{}
	for i := range written.Len() {
		byKey[p.KeyText(written.Index(i).Elem(), p.Model.PrimaryFields)] = written.Index(i).Elem()
	}
	now, err := p.readByKey(before)
	if err != nil {
		return err
	}
	for i, r := range hand {
		key := p.KeyText(before[i].Model, p.Model.PrimaryFields)
		returned, isReturned := byKey[key]
		delete(byKey, key)
		if isReturned || !p.returns() && p.hasMoved(before[i], now[i]) {
			p.learnWritten(r, returned, now[i])
		} else if !areNew && len(built.Where.Exprs) == 0 && p.sets(built) {
			return p.errOtherRow(r)
		}
	}
	return p.learnStray(hand, byKey, areNew)
}

// hasMoved reports whether a locked row was written, where the statement does not say so.
func (c *Call) hasMoved(before, now rows.State) bool {
	if c.Model.Compares() != nil || c.Model.Version.ByDatabase {
		return now.IsThere
	}
	return !c.IsSame(before.Version, now.Version)
}

// sets reports whether an upsert moves the version on.
func (c *Call) sets(conflict clause.OnConflict) bool {
	return slices.ContainsFunc(conflict.DoUpdates, func(a clause.Assignment) bool { return c.isVersionColumn(a.Column.Name) })
}

func (c *Call) errOtherRow(r *rows.Row) error {
	return fmt.Errorf("occ: model %s, element %d: the database met another row than the one that was compared: name the columns and the condition of one unique index in OnConflict: %w",
		c.Model.Name, r.Index, gorm.ErrInvalidData)
}

// readByKey reads rows that were read before by their primary keys.
func (c *Call) readByKey(before []rows.State) ([]rows.State, error) {
	hand := make([]*rows.Row, len(before))
	for i, state := range before {
		hand[i] = &rows.Row{Model: state.Model, Key: c.AllKeys(state.Model)}
	}
	return c.ReadRows(rows.Query{}, hand)
}

// learnWritten gives the models of a row what is stored of it now.
func (p *plan) learnWritten(r *rows.Row, returned reflect.Value, now rows.State) {
	for _, twin := range r.All() {
		for _, field := range p.Model.PrimaryFields {
			if _, isZero := field.ValueOf(p.Ctx, twin.Model); isZero {
				field.ReflectValueOf(p.Ctx, twin.Model).Set(field.ReflectValueOf(p.Ctx, now.Model))
			}
		}
		for _, field := range p.Model.FieldsWithDefaultDBValue {
			if returned.IsValid() && field.Readable && !field.PrimaryKey && field != p.Model.Version.Field {
				field.ReflectValueOf(p.Ctx, twin.Model).Set(field.ReflectValueOf(p.Ctx, returned))
			}
		}
		p.advanceModel(twin, p.compare.learned(twin, now.Version), p.isWhole)
	}
}

// learnStray is for a row that was written and is none of those that were locked: a new model was inserted beside them.
func (c *Call) learnStray(hand []*rows.Row, strays map[string]reflect.Value, areNew bool) error {
	for _, stray := range strays {
		if !areNew || len(hand) != 1 {
			return c.errOtherRow(hand[0])
		}
		c.takeOver(hand[0].Index, hand[0].Latest(), stray, nil)
	}
	return nil
}
