package write

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/batch"
	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/value"
)

// upsert inserts or updates, as the caller's ON CONFLICT says. Models that are loaded, or given a version by Expect, are
// compared on the conflict columns, and never inserted; the others are not compared.
func (c *Call) upsert(given clause.OnConflict) (int64, error) {
	version, expects, err := c.givenVersion(nil)
	if err != nil {
		return 0, err
	}
	u := upsert{Call: c, given: given, version: version, expects: expects}
	isKnownFirst := !c.Model.Version.IsAdvancedInSQL() && !c.DB.DryRun
	if isOfPayloads(&c.Site) && !c.DB.DryRun {
		payloads, isRead, err := u.payloads()
		if err != nil {
			return 0, err
		}
		if isKnownFirst || isRead || expects {
			return u.writePayloads(payloads)
		}
	}
	loaded, others := u.divideByVersion()
	updateLoaded := func() (int64, error) { return u.updateLoaded(loaded) }
	switch {
	case len(others) > 0 && isKnownFirst:
		writeOthers := func() (int64, error) { return u.writeKnown(others) }
		return c.allOrNone(func() (int64, error) { return inTurn(updateLoaded, writeOthers) })
	case len(loaded) == 0:
		return u.overwrite()
	case len(others) == 0 || c.DB.DryRun: // one statement is all that can be shown
		return updateLoaded()
	}
	overwriteOthers := func() (int64, error) { return withModels(&c.Site, modelsOf(others), u.overwrite) }
	return c.allOrNone(func() (int64, error) { return inTurn(updateLoaded, overwriteOthers) })
}

// upsert is an INSERT that says what becomes of rows that are there.
type upsert struct {
	*Call
	given   clause.OnConflict // as the caller gave it
	version any               // what Expect was given
	expects bool
}

// planOf makes the plan for some models of the upsert.
func (u *upsert) planOf(hand []rows.Row) *plan {
	p := u.Call.planOf(hand)
	p.expects = u.expects
	return p
}

// divideByVersion divides the models into those to be compared and the others.
func (u *upsert) divideByVersion() (loaded, others []rows.Row) {
	p := u.planOf(nil)
	for _, r := range u.candidates() {
		if u.expects {
			r.Expected = u.version
		}
		if p.isUnchecked(&r) || !u.expects && u.Model.Version.Kind.IsZero(r.Expected) {
			others = append(others, r)
		} else {
			loaded = append(loaded, r)
		}
	}
	return loaded, others
}

// updateLoaded is the upsert of loaded models: where it can be, an UPDATE of the rows that have their keys, if they are at the
// expected versions.
func (u *upsert) updateLoaded(loaded []rows.Row) (int64, error) {
	if len(loaded) == 0 {
		return 0, nil
	}
	var set clause.Set
	counts := false
	_, err := withModels(&u.Site, modelsOf(loaded), func() (_ int64, err error) {
		set, counts, err = u.assignments()
		return 0, err
	})
	if err != nil {
		return 0, err
	}
	p := u.planOf(loaded)
	p.compareFor(set)
	if !counts || !u.isUpdate(set) {
		return u.overwriteLocked(p)
	}
	p.by.Own = clause.Clause{Name: "WHERE", Expression: u.given.Where}
	p.by.Proposed = u.proposedColumns(u.given.Where)
	for _, r := range p.rows {
		if r.Key == nil {
			return 0, errNoTarget(u.Model)
		}
	}
	return p.choosing(func() (int64, error) { return u.update(p, set) })
}

// update is the UPDATE, once it is known which version each row is expected to be at.
func (u *upsert) update(p *plan, set clause.Set) (int64, error) {
	hand := p.pointers()
	for _, r := range hand {
		if err := p.SetNextAfter(r, r.Expected); err != nil {
			return 0, err
		}
	}
	how := p.modelsUpdate(hand, referredFields(u.Model, set), set, true)
	p.Counters().Checked.Add(1)
	return p.writeSeveral(hand, how)
}

// isUpdate reports whether one UPDATE by the primary key can be the upsert of loaded models, or only the caller's own
// INSERT ... ON CONFLICT can carry it.
func (u *upsert) isUpdate(set clause.Set) bool {
	isKeyed := isTargetKnown(&u.Site, u.given) && slices.Equal(conflictFields(u.Model, u.given), u.Model.PrimaryFields)
	hasConditions := len(u.given.TargetWhere.Exprs)+len(u.given.Where.Exprs) > 0
	if !isKeyed || hasConditions && u.Dialect.ConflictTarget {
		return false
	}
	return !slices.ContainsFunc(set, func(a clause.Assignment) bool {
		column, isColumn := a.Value.(clause.Column)
		if !isColumn || column.Table != batch.Alias {
			return clauses.IsExpression(a.Value)
		}
		field := u.Model.LookUpField(column.Name)
		return field == nil || !field.Creatable || field.HasDefaultValue && field.DefaultValueInterface == nil
	})
}

// assignments returns what GORM's own statement would set in the rows of the statement's models that are there, without the
// version. GORM gives models their defaults and times on the way.
func (u *upsert) assignments() (set clause.Set, counts bool, err error) {
	given := u.Stmt.Clauses["ON CONFLICT"]
	defer func() { u.Stmt.Clauses["ON CONFLICT"] = given }()
	_, err = u.execute(u.DB, func(db *gorm.DB) { _ = callbacks.ConvertToCreateValues(db.Statement) })
	u.Stmt.Vars = nil
	if err != nil {
		return nil, false, err
	}
	whole, _ := u.Stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	set, counts = upsertStatement{&u.Site}.assignments(whole.DoUpdates, u.given.UpdateAll)
	return set, counts, keepUpdateTimes(&u.Site, set)
}

// proposedColumns returns the columns that the condition of an upsert may mean of the row that was to be inserted. Others are
// left out: their names would make those of the table ambiguous.
func (u *upsert) proposedColumns(where clause.Where) (columns []rows.Column) {
	if len(where.Exprs) == 0 {
		return nil
	}
	scratch := u.Scratch()
	where.Build(scratch)
	text := strings.ToLower(scratch.SQL.String())
	if !strings.Contains(text, batch.Alias) {
		return nil
	}
	for _, field := range insertedFields(u.Model) {
		if strings.Contains(text, strings.ToLower(field.DBName)) {
			columns = append(columns, valueColumn(u.Call, field.DBName, field))
		}
	}
	return columns
}

// overwrite is the upsert that asks for no comparison. Rows are inserted with their first version or, where they are there
// already, updated and given their next one, never one from the payload. The models learn which version it was.
func (u *upsert) overwrite() (int64, error) {
	if u.switches.Unchecked {
		u.Counters().Blind.Add(1)
	}
	if u.Model.Version.ByDatabase && u.Model.Compares() == nil {
		return u.overwriteByDatabase()
	}
	models := u.candidates()
	numbered, err := number(u.newVersions())
	if err != nil {
		return 0, err
	}
	isSent := false
	defer func() {
		if !isSent { // or a panic: a Valuer's, say
			numbered.putBack()
		}
	}()
	versionColumn{&u.Site}.bind()
	given := upsertStatement{&u.Site}.build(nil)
	send := func() (int64, error) { return u.sendUpsert(given, models, numbered) }
	affected := int64(0)
	if returns(u.Stmt) && u.Model.Compares() == nil {
		affected, err = send()
	} else {
		affected, err = u.within(send) // what is read afterwards must not be what somebody else has written
	}
	isSent = err == nil
	return affected, err
}

func (u *upsert) sendUpsert(conflict clause.OnConflict, models []rows.Row, numbered numbering) (int64, error) {
	if target := u.Stmt.ReflectValue; len(models) > 0 && target.Kind() == reflect.Slice && returns(u.Stmt) {
		return u.overwriteSlice(conflict, target, numbered)
	}
	affected, err := u.execute(u.DB, u.Plugin.Gorm.create)
	switch {
	case err != nil || u.DB.DryRun || u.wroteNone(affected):
		forgetKeys(&u.Site, models)
		numbered.putBack()
	case len(models) == 0:
	case returns(u.Stmt):
		err = u.learnUpserted(models)
	default:
		err = u.learnUnreturned(conflict, models, affected, numbered)
	}
	return affected, err
}

// wroteNone reports whether an upsert has left all rows alone. MariaDB and MySQL count no row that is updated to what it was.
func (u *upsert) wroteNone(affected int64) bool { return affected == 0 && u.Dialect.ConflictTarget }

// overwriteByDatabase is the upsert of rows whose versions the database writes: they are read before the transaction ends.
func (u *upsert) overwriteByDatabase() (int64, error) {
	defer u.unversioned().leaveOut()()
	models, skips := u.candidates(), mayBeSkipped(u.Stmt)
	return u.within(func() (int64, error) {
		given := upsertStatement{&u.Site}.build(nil)
		affected, err := u.execute(u.DB, u.Plugin.Gorm.create)
		putVersionsBack(&u.Site, models) // and what RETURNING has shown, which may not be final
		if err != nil || u.DB.DryRun || u.wroteNone(affected) || skips {
			return affected, err
		}
		if returns(u.Stmt) && affected == int64(len(models)) {
			return affected, u.inserted(models).learnInserted()
		}
		return affected, u.learnByTarget(given, models)
	})
}

// createApart has GORM send an INSERT and scan the returned rows into models of their own. Else GORM takes the first row for
// that of the first model, and counts keys on.
func (u *upsert) createApart() (written reflect.Value, affected int64, err error) {
	written = newModels(u.Model)
	affected, err = scanInto(u.Stmt, written, written.Addr().Interface(), func() (int64, error) {
		return u.execute(u.DB, u.Plugin.Gorm.create)
	})
	return written, affected, err
}

// overwriteSlice gives each element of a slice the row that was written for it, where some may have been skipped.
func (u *upsert) overwriteSlice(conflict clause.OnConflict, target reflect.Value, numbered numbering) (int64, error) {
	written, affected, err := u.createApart()
	numbered.putBack()
	if err != nil || u.DB.DryRun {
		return 0, err
	}
	found := rowsByElement(&u.Site, target, written, conflict)
	var taken []rows.Row
	for i := range target.Len() {
		if model := value.Indirect(target.Index(i)); found[i].IsValid() {
			if err := u.takeOver(i, model, found[i], updateTimes(u.Model, conflict.DoUpdates)); err != nil {
				return 0, err
			}
			taken = append(taken, rows.Row{Index: i, Model: model, Key: u.KeyOf(model)})
		}
	}
	if u.Model.Compares() != nil {
		err = u.inserted(taken).learnInserted()
	}
	return affected, err
}

// rowsByElement finds the row of each element: they come back in the order of the elements where none was left out, else by
// the conflict columns. What is left over then are elements that could not conflict, because the database gives them their
// key, and their rows, in the same order. An element whose row was written twice has the last state of it.
func rowsByElement(s *rows.Site, target, written reflect.Value, conflict clause.OnConflict) []reflect.Value {
	found := make([]reflect.Value, target.Len())
	if written.Len() == target.Len() {
		latest := map[string]reflect.Value{}
		for i := range found {
			latest[s.KeyText(written.Index(i).Elem(), s.Model.PrimaryFields)] = written.Index(i).Elem()
		}
		for i := range found {
			found[i] = latest[s.KeyText(written.Index(i).Elem(), s.Model.PrimaryFields)]
		}
		return found
	}
	if !isTargetKnown(s, conflict) {
		return found
	}
	return rowsByTarget(s, target, written, conflictFields(s.Model, conflict))
}

func rowsByTarget(s *rows.Site, target, written reflect.Value, fields []*schema.Field) []reflect.Value {
	byKey, order := map[string]reflect.Value{}, []string{}
	for i := range written.Len() {
		row := written.Index(i).Elem()
		key := s.KeyText(row, fields)
		byKey[key], order = row, append(order, key)
	}
	found, taken := make([]reflect.Value, target.Len()), map[string]bool{}
	for i := range found {
		key := s.KeyText(value.Indirect(target.Index(i)), fields)
		found[i], taken[key] = byKey[key], true
	}
	left := slices.DeleteFunc(order, func(key string) bool { return taken[key] })
	isOwnKey := slices.Equal(fields, s.Model.PrimaryFields)
	for i := range found {
		if isOwnKey && !found[i].IsValid() && len(left) > 0 && !s.HasKey(value.Indirect(target.Index(i))) {
			found[i], left = byKey[left[0]], left[1:]
		}
	}
	return found
}

// takeOver gives a model what the database decided about its row, the times of the update that were set, and what the caller wants returned.
func (u *upsert) takeOver(index int, model, stored reflect.Value, times []*schema.Field) error {
	version := u.Model.Version
	r := rows.Row{Index: index, Model: model, Before: version.Of(u.Ctx, model)}
	copyFields(u.Ctx, model, stored, slices.Concat(u.Model.PrimaryFields, u.Model.FieldsWithDefaultDBValue, times))
	if err := u.giveAsked(stored, &r); err != nil {
		return err
	}
	u.advanceModel(&r, version.Of(u.Ctx, stored), false)
	return nil
}

// copyFields gives a model what another one holds in fields that are read.
func copyFields(ctx context.Context, to, from reflect.Value, fields []*schema.Field) {
	for _, field := range fields {
		if field.Readable {
			field.ReflectValueOf(ctx, to).Set(field.ReflectValueOf(ctx, from))
		}
	}
}

// learnUpserted remembers what GORM scanned into a single model.
func (u *upsert) learnUpserted(models []rows.Row) error {
	for i := range models {
		u.remember(&models[i], false)
		u.note(models[i].Model)
	}
	if u.Model.Compares() == nil {
		return nil
	}
	return u.planOf(models).learnInserted()
}

// learnUnreturned gives models their keys and versions where the statement returns none. GORM has counted keys on from the
// first one that was generated. That is right where all rows were inserted: each counts as one then. One that was updated counts
// as two.
func (u *upsert) learnUnreturned(conflict clause.OnConflict, models []rows.Row, affected int64, numbered numbering) error {
	if !u.Dialect.ConflictTarget && affected == int64(len(models)) && advances(u.Model, conflict) {
		return u.learnUpserted(models)
	}
	numbered.putBack()
	return u.learnByTarget(conflict, models)
}

// learnByTarget reads the rows of models by the columns of the conflict. A model whose row is not found keeps its version, and
// does not get the key that GORM has counted for it.
func (u *upsert) learnByTarget(conflict clause.OnConflict, models []rows.Row) error {
	single := len(models) == 1 && models[0].Key == nil && u.KeyOf(models[0].Model) != nil
	if isKeyed := slices.Equal(conflictFields(u.Model, conflict), u.Model.PrimaryFields); !single || !isKeyed {
		forgetKeys(&u.Site, models)
	}
	by, err := byTarget(&u.Site, conflict)
	if err != nil {
		return nil
	}
	p := u.planOf(models)
	p.by = by
	found, times := p.keyedByTarget(), updateTimes(u.Model, conflict.DoUpdates)
	states, err := p.ReadRows(rows.Query{Lookup: p.by, Fields: times}, found)
	if err != nil {
		return err
	}
	for i, r := range found {
		if states[i].IsThere && isOwnRow(&u.Site, r.Model, states[i]) {
			if err := p.learnWritten(r, reflect.Value{}, states[i]); err != nil {
				return err
			}
			for _, twin := range r.All() {
				copyFields(u.Ctx, twin.Model, states[i].Model, times)
			}
		}
	}
	return nil
}

// forgetKeys takes back the keys that models did not have before they were sent.
func forgetKeys(s *rows.Site, models []rows.Row) {
	for _, r := range models {
		forgetKey(s, r)
	}
}

func forgetKey(s *rows.Site, r rows.Row) {
	if key := s.Model.PrioritizedPrimaryField; !r.HasOwnKey && key != nil && r.Model.CanAddr() {
		key.ReflectValueOf(s.Ctx, r.Model).SetZero()
	}
}

func errNoTarget(m *model.Model) error {
	return fmt.Errorf("occ: model %s has a version, but nothing in the columns of the conflict: %w", m.Name, gorm.ErrPrimaryKeyRequired)
}
