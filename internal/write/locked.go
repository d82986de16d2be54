package write

import (
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
)

// Which row an INSERT ... ON CONFLICT finds is the database's to say: a partial index, an expression or a collation decide
// with it. Where the rows have to be known beforehand, an upsert locks and reads them by the same target. Then it sends the
// caller's own statement, and reads the rows that were written.

// lockedUpsert is an upsert of models whose rows are locked.
type lockedUpsert struct {
	*upsert
	plan   *plan
	hand   []*rows.Row
	states []rows.State // of the rows, before they are written
	areNew bool         // the models may be inserted all the same, where the database finds no conflict
}

// overwriteLocked is the upsert of loaded models that an UPDATE cannot be. It writes the rows of their conflict target, if those
// are at the expected versions, and inserts none.
func (u *upsert) overwriteLocked(p *plan) (int64, error) {
	u.Counters().Checked.Add(1)
	if u.DB.DryRun {
		return withModels(&u.Site, modelsOf(p.rows), u.overwrite)
	}
	return u.allOrNone(func() (int64, error) {
		hand, states, err := u.lockTarget(p)
		if err != nil {
			return 0, err
		}
		if err := p.chooseAmong(hand, states); err != nil {
			return 0, err
		}
		if !p.areCurrent(hand, states) {
			return 0, p.refuseRows(hand, states)
		}
		locked := lockedUpsert{upsert: u, plan: p, hand: hand, states: states}
		return locked.send()
	})
}

// writeKnown is the upsert of models that are not compared, with versions that SQL cannot advance. The rows that are there are
// locked and written with the versions after theirs. The others are inserted.
func (u *upsert) writeKnown(others []rows.Row) (int64, error) {
	p := u.planOf(others)
	there, states, missing, err := u.lockStored(p)
	if err != nil {
		return 0, err
	}
	locked := lockedUpsert{upsert: u, plan: p, hand: there, states: states, areNew: true}
	insert := func() (int64, error) {
		if len(missing) == 0 {
			return 0, nil
		}
		models := make([]reflect.Value, len(missing))
		for i, r := range missing {
			models[i] = r.Model
		}
		return u.insertInstead(func() (int64, error) { return withModels(&u.Site, models, u.insert) })
	}
	return inTurn(locked.send, insert)
}

// byTarget returns how rows are found by a conflict target: by its columns and, of a partial index, its condition.
func byTarget(s *rows.Site, conflict clause.OnConflict) (rows.Lookup, error) {
	if !isTargetKnown(s, conflict) {
		return rows.Lookup{}, fmt.Errorf("occ: model %s: the rows of this conflict target cannot be compared: name the plain columns of a unique index in OnConflict.Columns: %w",
			s.Model.Name, gorm.ErrInvalidData)
	}
	by := rows.Lookup{Identity: conflictFields(s.Model, conflict)}
	if s.Dialect.ConflictTarget {
		by.Target = conflict.TargetWhere.Exprs
	}
	return by, nil
}

// isTargetKnown reports whether a conflict target is columns of the model, not a constraint or expressions.
func isTargetKnown(s *rows.Site, conflict clause.OnConflict) bool {
	if !s.Dialect.ConflictTarget {
		return len(conflictFields(s.Model, conflict)) > 0 // the statement names no key, and any unique one conflicts
	}
	for _, column := range conflict.Columns {
		if column.Raw || s.Model.LookUpField(column.Name) == nil {
			return false
		}
	}
	return conflict.OnConstraint == "" && len(conflictFields(s.Model, conflict)) > 0
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

// lockTarget has the rows of a plan be found by the conflict target, locks them and reads their states.
func (u *upsert) lockTarget(p *plan) (hand []*rows.Row, states []rows.State, err error) {
	if p.by, err = byTarget(&u.Site, u.given); err != nil {
		return nil, nil, err
	}
	if hand = p.keyedByTarget(); len(hand) < len(p.rows) {
		return nil, nil, errNoTarget(u.Model)
	}
	if states, err = p.lock(hand); err != nil {
		return nil, nil, p.orRefusal(err, hand...)
	}
	return hand, states, nil
}

// lockStored divides the models of a plan into those whose rows are there, with their states, and those whose rows are not.
func (u *upsert) lockStored(p *plan) (there []*rows.Row, theirs []rows.State, missing []*rows.Row, err error) {
	if p.by, err = byTarget(&u.Site, u.given); err != nil {
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
	return there, theirs, without(p.pointers(), there), nil
}

// send sends the caller's INSERT ... ON CONFLICT.
func (l *lockedUpsert) send() (affected int64, err error) {
	if err := l.checkKeys(); err != nil {
		return 0, err
	}
	l.mergeCopies()
	size := max(1, len(l.hand))
	if !l.Model.Version.IsAdvancedInSQL() {
		size = 1 // each has a next version of its own
	}
	for i := 0; i < len(l.hand); i += size {
		part := *l
		part.hand, part.states = l.hand[i:i+size], l.states[i:i+size]
		n, err := part.sendPart()
		if err != nil {
			return 0, err
		}
		affected += n
	}
	return affected, nil
}

// checkKeys reports as an error a row of the conflict target that is not that of its model's primary key. The model would hold
// the version of another row than the one that its key names.
func (l *lockedUpsert) checkKeys() error {
	for i, r := range l.hand {
		if isOwnRow(&l.Site, r.Model, l.states[i]) {
			continue
		}
		other := &rows.Row{Model: r.Model, Key: l.KeyOf(r.Model)}
		named, err := l.ReadRows(rows.Query{}, []*rows.Row{other})
		if err != nil {
			return err
		}
		if !named[0].IsThere || !isOwnRow(&l.Site, named[0].Model, l.states[i]) {
			return fmt.Errorf("occ: model %s, element %d: the row with its conflict columns has another primary key: load that row: %w",
				l.Model.Name, r.Index, gorm.ErrInvalidData)
		}
	}
	return nil
}

// isOwnRow reports whether a model has the key of a row, or none.
func isOwnRow(s *rows.Site, model reflect.Value, state rows.State) bool {
	fields := s.Model.PrimaryFields
	return !s.HasKey(model) || s.KeyText(model, fields) == s.KeyText(state.Model, fields)
}

// mergeCopies leaves each row once, as the database compares keys. Of several models of one row, the last one is written, and
// the others get its version.
func (l *lockedUpsert) mergeCopies() {
	var once []*rows.Row
	var theirs []rows.State
	first := map[string]*rows.Row{}
	for i, r := range l.hand {
		key := l.KeyText(l.states[i].Model, l.Model.PrimaryFields)
		if twin := first[key]; twin != nil {
			twin.Copies = append(twin.Copies, r)
			continue
		}
		first[key] = r
		once, theirs = append(once, r), append(theirs, l.states[i])
	}
	l.hand, l.states = once, theirs
}

func (l *lockedUpsert) sendPart() (int64, error) {
	models := make([]reflect.Value, len(l.hand))
	for i, r := range l.hand {
		models[i] = r.Latest()
		if err := l.SetNextAfter(r, r.Expected); err != nil {
			return 0, err
		}
	}
	return withModels(&l.Site, models, func() (int64, error) {
		written, built, affected, err := l.sendApart(nextOf(l.Model, l.hand[0]))
		if err != nil {
			return 0, err
		}
		return affected, l.learn(built, written)
	})
}

// nextOf returns the version that a statement gives a row: nil where SQL makes it.
func nextOf(m *model.Model, r *rows.Row) any {
	if m.Version.IsAdvancedInSQL() {
		return nil
	}
	return m.Version.Kind.Bind(r.Next)
}

// sendApart sends the upsert of the statement's models and returns the rows that came back, in models of their own.
func (u *upsert) sendApart(next any) (written reflect.Value, built clause.OnConflict, affected int64, err error) {
	if u.Model.Version.ByDatabase && u.Model.Compares() == nil {
		defer u.unversioned().leaveOut()()
	}
	numbered, err := u.numberInserted()
	defer numbered.putBack()
	if err != nil {
		return written, built, 0, err
	}
	built = upsertStatement{&u.Site}.build(next)
	if err = keepUpdateTimes(&u.Site, built.DoUpdates); err != nil {
		return written, built, 0, err
	}
	written, affected, err = u.createApart()
	return written, built, affected, err
}

// numberInserted gives the models of an upsert their first versions, unless the database does.
func (u *upsert) numberInserted() (numbering, error) {
	if u.Model.Version.ByDatabase {
		return numbering{}, nil
	}
	numbered, err := number(u.newVersions())
	if err == nil {
		versionColumn{&u.Site}.bind()
	}
	return numbered, err
}

// learn gives the models whose rows a statement has written their keys and versions. A row that was written in place of one
// that was compared is an error.
func (l *lockedUpsert) learn(built clause.OnConflict, written reflect.Value) error {
	byKey := map[string]reflect.Value{}
	for i := range written.Len() {
		byKey[l.KeyText(written.Index(i).Elem(), l.Model.PrimaryFields)] = written.Index(i).Elem()
	}
	now, err := readByKey(&l.Site, l.states)
	if err != nil {
		return err
	}
	for i, r := range l.hand {
		key := l.KeyText(l.states[i].Model, l.Model.PrimaryFields)
		returned, isReturned := byKey[key]
		delete(byKey, key)
		if isReturned || !returns(l.Stmt) && l.hasMoved(l.states[i], now[i]) {
			if err := l.plan.learnWritten(r, returned, now[i]); err != nil {
				return err
			}
		} else if !l.areNew && len(built.Where.Exprs) == 0 && advances(l.Model, built) {
			return l.errOtherRow(r)
		}
	}
	return l.learnOthers(byKey)
}

// hasMoved reports whether a locked row was written, where the statement does not say so.
func (l *lockedUpsert) hasMoved(before, now rows.State) bool {
	if l.Model.Compares() != nil || l.Model.Version.ByDatabase {
		return now.IsThere
	}
	return !l.IsSame(before.Version, now.Version)
}

// learnOthers is for rows that were written and are none of those that were locked: a new model was inserted beside them.
func (l *lockedUpsert) learnOthers(others map[string]reflect.Value) error {
	for _, other := range others {
		if !l.areNew || len(l.hand) != 1 {
			return l.errOtherRow(l.hand[0])
		}
		if err := l.takeOver(l.hand[0].Index, l.hand[0].Latest(), other, nil); err != nil {
			return err
		}
	}
	return nil
}

func (l *lockedUpsert) errOtherRow(r *rows.Row) error {
	return fmt.Errorf("occ: model %s, element %d: the database met another row than the one that was compared: name the columns and the condition of one unique index in OnConflict: %w",
		l.Model.Name, r.Index, gorm.ErrInvalidData)
}

// advances reports whether an upsert sets the next version.
func advances(m *model.Model, conflict clause.OnConflict) bool {
	return slices.ContainsFunc(conflict.DoUpdates, func(a clause.Assignment) bool { return m.IsVersionColumn(a.Column.Name) })
}

// readByKey reads rows that were read before by their primary keys.
func readByKey(s *rows.Site, before []rows.State) ([]rows.State, error) {
	hand := make([]*rows.Row, len(before))
	for i, state := range before {
		hand[i] = &rows.Row{Model: state.Model, Key: s.AllKeys(state.Model)}
	}
	return s.ReadRows(rows.Query{}, hand)
}

// learnWritten gives the models of a row what is stored of it now, and what the caller wants returned.
func (p *plan) learnWritten(r *rows.Row, returned reflect.Value, now rows.State) error {
	if returned.IsValid() {
		if err := p.giveAsked(returned, r); err != nil {
			return err
		}
	}
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
	return nil
}
