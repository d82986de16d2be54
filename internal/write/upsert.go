package write

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/batch"
	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/tx"
	"github.com/gorm-occ/occ/internal/value"
)

// insertOrSkip is the upsert that does nothing where a row is there. Only models whose row was inserted get a version;
// which they are, GORM cannot tell of several, so the plugin finds out. Models that come along with their owner and are
// loaded already are linked, not written: inserting one would bring back a deleted row.
func (c *Call) insertOrSkip() {
	c.isWhole = true
	candidates := c.candidates()
	if c.DB.DryRun || len(candidates) == 0 {
		c.insert() // maps, or no write at all
		return
	}
	if c.isLinked {
		candidates = c.unloaded(candidates)
	}
	var inserted int64
	insert := func() (err error) {
		inserted, err = c.insertSkipping(candidates)
		return err
	}
	if c.Model.Version.ByDatabase {
		c.within(insert) // what is read afterwards must not be what somebody else has written
	} else {
		_ = c.DB.AddError(insert())
	}
	if c.DB.Error == nil {
		c.DB.RowsAffected = inserted
	}
}

// hasGivenKey tells whether a model has the part of its key that the database would generate.
func (c *Call) hasGivenKey(model reflect.Value) bool {
	key := c.Model.PrioritizedPrimaryField
	if key == nil {
		return true
	}
	_, isZero := key.ValueOf(c.Ctx, model)
	return !isZero
}

// errSkipped says that a row was there already.
var errSkipped = errors.New("occ: a row was there already")

// insertSkipping inserts the rows that are not there, in one statement where all are new. Where one was not, that is undone
// and the rows go one by one: no database says which of several it has skipped.
func (c *Call) insertSkipping(rows []rows.Row) (inserted int64, err error) {
	if !c.Dialect.ConflictTarget {
		if rows, err = c.missingNow(rows); err != nil { // a duplicate key would leave locks behind, and two of those deadlock
			return 0, err
		}
	}
	if len(rows) < 2 {
		return c.insertEach(rows)
	}
	err = c.Plugin.Atomically(c.DB, func() error { return c.insertAll(rows) })
	if err == nil {
		return int64(len(rows)), nil
	}
	if !errors.Is(err, errSkipped) {
		return 0, err
	}
	missing, err := c.missingNow(rows)
	if err != nil {
		return 0, err
	}
	err = c.Plugin.Atomically(c.DB, func() error {
		inserted, err = c.insertEach(missing)
		return err
	})
	return inserted, err
}

func (c *Call) insertEach(rows []rows.Row) (inserted int64, err error) {
	for i := range rows {
		err := c.insertAll(rows[i : i+1])
		switch {
		case err == nil:
			inserted++
		case !errors.Is(err, errSkipped):
			return inserted, err
		}
	}
	return inserted, nil
}

// insertAll inserts rows with their first version, or reports errSkipped if one of them was there; then the models are as
// they were. MySQL's DO NOTHING counts rows that it skipped, and so does GORM for several models with keys: there it is an
// INSERT whose duplicate keys are no error.
func (c *Call) insertAll(rows []rows.Row) error {
	firsts, err := c.firstVersions(rows)
	if err != nil {
		return err
	}
	conflict := c.Stmt.Clauses["ON CONFLICT"]
	isPlain := !c.Dialect.ConflictTarget || len(rows) > 1
	if isPlain {
		delete(c.Stmt.Clauses, "ON CONFLICT")
		defer func() { c.Stmt.Clauses["ON CONFLICT"] = conflict }()
	}
	for i, r := range rows {
		c.Model.Version.Put(c.Ctx, r.Model, firsts[i])
	}
	affected, err := c.insertModels(rows)
	if c.isDuplicateKey(err) && isPlain || err == nil && affected < int64(len(rows)) {
		err = errSkipped
		c.Stmt.Clauses["ON CONFLICT"] = conflict
		c.learnKey(rows)
	}
	for _, r := range rows {
		if err != nil {
			c.Model.Version.Put(c.Ctx, r.Model, r.Before)
		} else {
			c.remember(&r)
			c.note(r.Model)
		}
	}
	if err == nil && (c.hasSnapshots() || c.Model.Version.ByDatabase) {
		err = c.learnInserted(slices.Clone(rows))
	}
	return err
}

// learnKey has MySQL give a model the generated key of the row that was there: its DO NOTHING does, unlike others', and
// GORM goes on to link that row to its owner.
func (c *Call) learnKey(rows []rows.Row) {
	if c.Dialect.ConflictTarget || len(rows) > 1 || rows[0].Key != nil {
		return
	}
	_, err := c.insertModels(rows)
	_ = c.DB.AddError(err)
}

// missingNow are the missing rows, also those that the snapshot of the caller's transaction still shows though they have
// been deleted since. Only what it shows is looked for under a lock: one on what is not there would keep others from
// inserting it, and two of those deadlock.
func (c *Call) missingNow(hand []rows.Row) (missing []rows.Row, err error) {
	missing, err = c.missing(c.SnapshotSession(), hand)
	canBeOld := c.Dialect.CurrentRead != nil && tx.IsTransaction(c.Stmt.ConnPool) && !c.startedTransaction()
	if err != nil || !canBeOld || c.isLinked || len(missing) == len(hand) {
		return missing, err
	}
	shown := slices.DeleteFunc(slices.Clone(hand), func(r rows.Row) bool {
		return slices.ContainsFunc(missing, func(m rows.Row) bool { return m.Index == r.Index })
	})
	gone, err := c.missing(c.Session(), shown)
	missing = append(missing, gone...)
	slices.SortFunc(missing, func(a, b rows.Row) int { return cmp.Compare(a.Index, b.Index) })
	return missing, err
}

// missing are the rows whose key is not there, and those that have none.
func (c *Call) missing(session *gorm.DB, rows []rows.Row) (missing []rows.Row, err error) {
	there, err := c.Stored(session, rows, nil)
	for _, r := range rows {
		if _, isThere := there[c.KeyText(r.Model, c.Model.PrimaryFields)]; r.Key == nil || !isThere {
			missing = append(missing, r)
		}
	}
	return missing, err
}

// upsert inserts or updates, as the caller's ON CONFLICT says. Models that are loaded, or given a version by Expect, are
// compared on the conflict columns, and never inserted; the others are not compared.
func (c *Call) upsert(conflict clause.OnConflict) {
	given, err := c.givenVersion(nil)
	if c.DB.AddError(err) != nil {
		return
	}
	if c.isOfPayloads() && (c.expects || !c.Model.Version.IsAdvancedInSQL()) && !c.DB.DryRun {
		c.upsertPayloads(conflict, given)
		return
	}
	loaded, others := c.divideByVersion(given)
	if len(others) > 0 && !c.Model.Version.IsAdvancedInSQL() && !c.DB.DryRun {
		c.together(func() { c.upsertKnown(conflict, loaded, others) })
		return
	}
	switch {
	case len(loaded) == 0:
		c.overwrite()
	case len(others) == 0:
		c.updateInConflict(conflict, loaded)
	default:
		c.together(func() {
			c.updateInConflict(conflict, loaded)
			if affected := c.DB.RowsAffected; c.DB.Error == nil && !c.DB.DryRun {
				c.withModels(others, c.overwrite)
				c.setRowsAffected(affected + c.DB.RowsAffected)
			}
		})
	}
}

// upsertKnown is the upsert with versions that SQL cannot move on: the rows that are there are read and locked, and
// updated as if their models had been loaded; the others are inserted.
func (c *Call) upsertKnown(conflict clause.OnConflict, loaded, others []rows.Row) {
	affected := int64(0)
	if len(loaded) > 0 {
		c.updateInConflict(conflict, loaded)
		affected = c.DB.RowsAffected
	}
	if c.DB.Error != nil {
		return
	}
	there, states, missing, err := c.lockStored(conflict, others)
	if c.DB.AddError(err) != nil {
		return
	}
	if len(there) > 0 {
		c.sendLocked(there, states, true)
		affected += c.DB.RowsAffected
	}
	c.Lookup = rows.Lookup{Own: c.Own}
	if len(missing) > 0 && c.DB.Error == nil {
		delete(c.Stmt.Clauses, "ON CONFLICT")
		c.withModels(missing, c.insert)
		affected += c.DB.RowsAffected
	}
	c.setRowsAffected(affected)
}

// lockStored tells the models whose rows are there, with their states, from those that are not.
func (c *Call) lockStored(conflict clause.OnConflict, hand []rows.Row) (there []*rows.Row, theirs []rows.State, missing []rows.Row, err error) {
	if err = c.setTarget(conflict); err != nil {
		return nil, nil, nil, err
	}
	var keyed []*rows.Row
	for i := range hand {
		if hand[i].Key = c.KeyOf(hand[i].Model); hand[i].Key != nil {
			keyed = append(keyed, &hand[i])
		}
	}
	states, err := c.lockRows(keyed)
	for i, r := range keyed {
		if err == nil && states[i].IsThere {
			r.Expected = states[i].Version
			there, theirs = append(there, r), append(theirs, states[i])
		}
	}
	for i := range hand {
		if !slices.Contains(there, &hand[i]) {
			missing = append(missing, hand[i])
		}
	}
	return there, theirs, missing, err
}

// divideByVersion tells models to be compared from those that are not.
func (c *Call) divideByVersion(given any) (loaded, others []rows.Row) {
	for _, r := range c.candidates() {
		r.Expected = r.Before
		if c.expects {
			r.Expected = given
		}
		if c.isUnchecked(&r) || !c.expects && c.Model.Version.Kind.IsZero(r.Expected) {
			others = append(others, r)
		} else {
			loaded = append(loaded, r)
		}
	}
	return loaded, others
}

// updateInConflict is the upsert of loaded models: where it can be, an UPDATE of the rows that have their keys, if they are
// at the expected versions.
func (c *Call) updateInConflict(conflict clause.OnConflict, loaded []rows.Row) {
	var set clause.Set
	counts := false
	c.withModels(loaded, func() { set, counts = c.assignmentsOf(conflict) })
	if c.DB.Error != nil {
		return
	}
	if c.hasSnapshots() {
		c.chooseColumns(set)
	}
	if !counts || !c.isUpdate(conflict, set) {
		c.upsertLocked(conflict, loaded)
		return
	}
	c.Own = clause.Clause{Name: "WHERE", Expression: conflict.Where}
	c.Proposed = c.proposedColumns(conflict.Where)
	c.rows = loaded
	for i := range c.rows {
		r := &c.rows[i]
		if r.Key = c.KeyOf(r.Model); r.Key == nil {
			_ = c.DB.AddError(c.errNoTarget())
			return
		}
	}
	c.choosing(func() { c.updateChosen(set) })
	c.Proposed = nil
}

// updateChosen is the UPDATE, once it is known which version each row is expected to be at.
func (c *Call) updateChosen(set clause.Set) {
	for i := range c.rows {
		if c.DB.AddError(c.setNextAfter(&c.rows[i])) != nil {
			return
		}
	}
	how := c.modelsUpdate(c.pointers(), c.referredFields(set), set, true)
	c.Counters().Checked.Add(1)
	c.writeSeveral(c.pointers(), how)
}

// assignmentsOf are what GORM's own statement would set in the rows of the statement's models that are there, without the
// version. GORM gives models their defaults and times on the way.
func (c *Call) assignmentsOf(conflict clause.OnConflict) (set clause.Set, counts bool) {
	given := c.Stmt.Clauses["ON CONFLICT"]
	defer func() { c.Stmt.Clauses["ON CONFLICT"] = given }()
	_ = callbacks.ConvertToCreateValues(c.Stmt)
	c.Stmt.Vars = nil
	whole, _ := c.Stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	set, counts = c.upsertAssignments(whole.DoUpdates, conflict.UpdateAll)
	c.keepUpdateTimes(set)
	return set, counts
}

// keepUpdateTimes gives models the time of the update that GORM sets in their rows alone.
func (c *Call) keepUpdateTimes(set clause.Set) {
	for _, assignment := range set {
		field := c.Model.LookUpField(assignment.Column.Name)
		if field == nil || field.AutoUpdateTime == 0 || clauses.IsExpression(assignment.Value) {
			continue
		}
		_ = c.eachModel(func(_ int, model reflect.Value) error {
			return c.DB.AddError(field.Set(c.Ctx, model, assignment.Value))
		})
	}
}

// proposedColumns are the columns that the condition of an upsert may mean of the row that was to be inserted. Others are
// left out: their names would make those of the table ambiguous.
func (c *Call) proposedColumns(where clause.Where) (columns []rows.Column) {
	if len(where.Exprs) == 0 {
		return nil
	}
	scratch := c.Scratch()
	where.Build(scratch)
	text := strings.ToLower(scratch.SQL.String())
	if !strings.Contains(text, batch.Alias) {
		return nil
	}
	for _, field := range c.insertedFields() {
		if strings.Contains(text, strings.ToLower(field.DBName)) {
			columns = append(columns, valueColumn(c, field.DBName, field))
		}
	}
	return columns
}

// referredFields are what the assignments of an upsert may take from the row that was to be inserted: one each, or any
// where the caller wrote SQL.
func (c *Call) referredFields(set clause.Set) (fields []*schema.Field) {
	for _, assignment := range set {
		column, isColumn := assignment.Value.(clause.Column)
		switch {
		case isColumn && column.Table == batch.Alias:
			if field := c.Model.LookUpField(column.Name); field != nil && !slices.Contains(fields, field) {
				fields = append(fields, field)
			}
		case clauses.IsExpression(assignment.Value) && !c.isVersionColumn(assignment.Column.Name):
			return c.insertedFields()
		}
	}
	return fields
}

func (c *Call) insertedFields() (fields []*schema.Field) {
	for _, name := range c.Model.DBNames {
		if field := c.Model.FieldsByDBName[name]; field.Creatable && field != c.Model.Version.Field {
			fields = append(fields, field)
		}
	}
	return fields
}

// overwrite is the upsert that asks for no comparison: rows are inserted with their first version or, where they are
// there already, updated and given their next one, never one from the payload. Memory learns which version it was.
func (c *Call) overwrite() {
	if c.switches.Unchecked {
		c.Counters().Blind.Add(1)
	}
	if c.Model.Version.ByDatabase && !c.hasSnapshots() {
		c.overwriteByDatabase()
		return
	}
	models := c.candidates()
	numbered, err := c.number()
	if c.DB.AddError(err) != nil {
		return
	}
	isPanic := true
	defer func() {
		if isPanic { // a Valuer's, say
			numbered.putBack()
		}
	}()
	c.bindInserted()
	conflict := c.buildUpsert(nil)
	if c.returns() && !c.hasSnapshots() {
		c.sendUpsert(conflict, models, numbered)
	} else {
		c.within(func() error { // what is read afterwards must not be what somebody else has written
			c.sendUpsert(conflict, models, numbered)
			return c.DB.Error
		})
	}
	isPanic = false
}

func (c *Call) sendUpsert(conflict clause.OnConflict, models []rows.Row, numbered numbering) {
	isOfModels := len(models) > 0
	if target := c.Stmt.ReflectValue; isOfModels && target.Kind() == reflect.Slice && c.returns() {
		c.overwriteSlice(conflict, target, numbered)
		return
	}
	c.Plugin.Gorm.create(c.DB)
	switch {
	case c.DB.Error != nil || c.DB.DryRun || c.DB.RowsAffected == 0:
		c.forgetKeys(models)
		numbered.putBack()
	case !isOfModels:
	case c.returns():
		c.learnUpserted(models)
	default:
		c.learnUnreturned(conflict, models, numbered)
	}
}

// overwriteByDatabase is the upsert of rows whose versions the database writes: they are read before the transaction ends.
func (c *Call) overwriteByDatabase() {
	rows, maps := c.withoutVersions()
	defer c.leaveOut(rows, maps)()
	models, skips := c.candidates(), c.mayBeSkipped()
	c.within(func() error {
		conflict := c.buildUpsert(nil)
		c.Plugin.Gorm.create(c.DB)
		c.forgetDefaults(models) // and what RETURNING has shown, which may not be final
		if c.DB.Error != nil || c.DB.DryRun || c.DB.RowsAffected == 0 || skips {
			return c.DB.Error
		}
		if c.returns() && c.DB.RowsAffected == int64(len(models)) {
			return c.learnInserted(models)
		}
		return c.learnByTarget(conflict, models)
	})
}

// buildUpsert builds the statement ahead of GORM, because GORM decides on the columns of an UpdateAll while it builds. It
// has rows that are there take the version that follows on theirs, or next.
func (c *Call) buildUpsert(next any) clause.OnConflict {
	stmt := c.Stmt
	given, _ := stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	if !stmt.Unscoped {
		for _, entry := range c.Model.CreateClauses {
			stmt.AddClause(entry)
		}
	}
	stmt.AddClauseIfNotExists(clause.Insert{})
	stmt.AddClause(callbacks.ConvertToCreateValues(stmt))
	conflict, _ := stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	set, counts := c.upsertAssignments(conflict.DoUpdates, given.UpdateAll)
	conflict.DoUpdates = c.withNext(set, counts, next)
	conflict.DoNothing, conflict.UpdateAll = false, false
	stmt.AddClause(conflict)
	c.addReturning(conflict)
	stmt.Build(stmt.BuildClauses...)
	return conflict
}

// upsertAssignments are the caller's without the version, which is never one from the payload. A change of nothing but
// unversioned columns does not count, and a whole row leaves them alone.
func (c *Call) upsertAssignments(given clause.Set, wholeRow bool) (set clause.Set, counts bool) {
	set, counts = make(clause.Set, 0, len(given)+1), len(given) == 0
	for _, assignment := range given {
		field := c.Model.LookUpField(assignment.Column.Name)
		isFree := field != nil && kind.IsUnversioned(field)
		switch {
		case c.isVersionColumn(assignment.Column.Name):
			counts = true
		case !isFree || !wholeRow:
			set = append(set, assignment)
			counts = counts || !isFree && !c.isTimestamp(assignment)
		}
	}
	return set, counts
}

// withNext adds the next version to the assignments of an upsert, unless the database writes it.
func (c *Call) withNext(set clause.Set, counts bool, next any) clause.Set {
	if inSQL := c.Model.Version.Kind.NextInSQL(c.Model.Version.Column()); next == nil && inSQL != nil {
		next = inSQL
	}
	if !counts || next == nil || c.Model.Version.ByDatabase {
		return set
	}
	return append(set, clause.Assignment{Column: clause.Column{Name: c.Model.Version.DBName}, Value: next})
}

// addReturning asks for what tells the written rows apart, their version, and what GORM asks for.
func (c *Call) addReturning(conflict clause.OnConflict) {
	if !slices.Contains(c.Stmt.BuildClauses, "RETURNING") {
		return
	}
	if c.isOfPayloads() {
		c.returnDefaults()
		return
	}
	if given, ok := c.Stmt.Clauses["RETURNING"].Expression.(clause.Returning); ok && len(given.Columns) == 0 {
		return // all columns
	}
	var columns []clause.Column
	add := func(field *schema.Field) {
		if field != nil && field.Readable && !slices.Contains(columns, clause.Column{Name: field.DBName}) {
			columns = append(columns, clause.Column{Name: field.DBName})
		}
	}
	for _, field := range slices.Concat(c.Model.PrimaryFields, c.Model.FieldsWithDefaultDBValue, c.conflictFields(conflict)) {
		add(field)
	}
	add(c.Model.Version.Field)
	c.Stmt.AddClause(clause.Returning{Columns: columns})
}

// returnDefaults asks for what GORM does: maps and structs of other types need not have the other columns.
func (c *Call) returnDefaults() {
	var columns []clause.Column
	for _, field := range c.Stmt.Schema.FieldsWithDefaultDBValue {
		if field.Readable {
			columns = append(columns, clause.Column{Name: field.DBName})
		}
	}
	if len(columns) > 0 {
		c.Stmt.AddClauseIfNotExists(clause.Returning{Columns: columns})
	}
}

// overwriteSlice has the rows that were written scanned into a slice of its own, because GORM takes the first one for the
// first element even where rows were skipped, and then gives each element its row.
func (c *Call) overwriteSlice(conflict clause.OnConflict, target reflect.Value, numbered numbering) {
	dest := c.Stmt.Dest
	written := reflect.New(reflect.SliceOf(reflect.PointerTo(c.Model.ModelType)))
	c.Stmt.ReflectValue, c.Stmt.Dest = written.Elem(), written.Interface()
	c.Plugin.Gorm.create(c.DB)
	c.Stmt.ReflectValue, c.Stmt.Dest = target, dest
	numbered.putBack()
	if c.DB.Error != nil || c.DB.DryRun {
		return
	}
	hand := c.rowsByElement(target, written.Elem(), conflict)
	var taken []rows.Row
	for i := range target.Len() {
		if model := value.Indirect(target.Index(i)); hand[i].IsValid() {
			c.takeOver(i, model, hand[i])
			taken = append(taken, rows.Row{Index: i, Model: model, Key: c.KeyOf(model)})
		}
	}
	if c.hasSnapshots() {
		_ = c.DB.AddError(c.learnInserted(taken))
	}
}

// rowsByElement finds the row of each element: they come back in the order of the elements where none was left out, else by
// the conflict columns. What is left over then are elements that could not conflict, because the database gives them their
// key, and their rows, in the same order. An element whose row was written twice has the last state of it.
func (c *Call) rowsByElement(target, written reflect.Value, conflict clause.OnConflict) []reflect.Value {
	rows := make([]reflect.Value, target.Len())
	if written.Len() == target.Len() {
		latest := map[string]reflect.Value{}
		for i := range rows {
			latest[c.KeyText(written.Index(i).Elem(), c.Model.PrimaryFields)] = written.Index(i).Elem()
		}
		for i := range rows {
			rows[i] = latest[c.KeyText(written.Index(i).Elem(), c.Model.PrimaryFields)]
		}
		return rows
	}
	if !c.isTargetKnown(conflict) {
		return rows
	}
	return c.rowsByTarget(target, written, c.conflictFields(conflict))
}

func (c *Call) rowsByTarget(target, written reflect.Value, fields []*schema.Field) []reflect.Value {
	byKey, order := map[string]reflect.Value{}, []string{}
	for i := range written.Len() {
		row := written.Index(i).Elem()
		key := c.KeyText(row, fields)
		byKey[key], order = row, append(order, key)
	}
	rows, taken := make([]reflect.Value, target.Len()), map[string]bool{}
	for i := range rows {
		key := c.KeyText(value.Indirect(target.Index(i)), fields)
		rows[i], taken[key] = byKey[key], true
	}
	left := slices.DeleteFunc(order, func(key string) bool { return taken[key] })
	isOwnKey := slices.Equal(fields, c.Model.PrimaryFields)
	for i := range rows {
		if isOwnKey && !rows[i].IsValid() && len(left) > 0 && c.KeyOf(value.Indirect(target.Index(i))) == nil {
			rows[i], left = byKey[left[0]], left[1:]
		}
	}
	return rows
}

// takeOver gives a model what the database decided about its row.
func (c *Call) takeOver(index int, model, stored reflect.Value) {
	version := c.Model.Version
	r := rows.Row{Index: index, Model: model, Before: version.Of(c.Ctx, model)}
	for _, field := range slices.Concat(c.Model.PrimaryFields, c.Model.FieldsWithDefaultDBValue) {
		field.ReflectValueOf(c.Ctx, model).Set(field.ReflectValueOf(c.Ctx, stored))
	}
	c.advance(&r, version.Of(c.Ctx, stored))
}

// learnUpserted remembers what GORM scanned into a single model.
func (c *Call) learnUpserted(models []rows.Row) {
	for i := range models {
		r := &models[i]
		c.remember(r)
		c.note(r.Model)
	}
	if c.hasSnapshots() {
		_ = c.DB.AddError(c.learnInserted(models))
	}
}

// learnUnreturned gives models their keys and versions where the statement returns none. GORM has counted keys on from the
// first one that was generated, which is right where all rows were inserted: each counts as one then, and one that was
// updated as two.
func (c *Call) learnUnreturned(conflict clause.OnConflict, models []rows.Row, numbered numbering) {
	if !c.Dialect.ConflictTarget && c.DB.RowsAffected == int64(len(models)) && c.sets(conflict) {
		c.learnUpserted(models)
		return
	}
	numbered.putBack()
	_ = c.DB.AddError(c.learnByTarget(conflict, models))
}

// learnByTarget reads the rows of models by the columns of the conflict. A model whose row cannot be told is left without
// the key that GORM has made up, and with the version that it had.
func (c *Call) learnByTarget(conflict clause.OnConflict, models []rows.Row) error {
	single := len(models) == 1 && models[0].Key == nil && c.KeyOf(models[0].Model) != nil
	if isKeyed := slices.Equal(c.conflictFields(conflict), c.Model.PrimaryFields); !single || !isKeyed {
		c.forgetKeys(models)
	}
	if err := c.setTarget(conflict); err != nil {
		return nil
	}
	defer func() { c.Lookup = rows.Lookup{Own: c.Own} }()
	var found []*rows.Row
	for i := range models {
		if models[i].Key = c.KeyOf(models[i].Model); models[i].Key != nil {
			found = append(found, &models[i])
		}
	}
	states, err := c.ReadRows(found, "")
	for i, r := range found {
		if err == nil && states[i].IsThere && c.isOwnRow(r.Model, states[i]) {
			c.learnWritten(r, reflect.Value{}, states[i])
		}
	}
	return err
}

// forgetKeys takes back the keys that models did not have before they were sent.
func (c *Call) forgetKeys(models []rows.Row) {
	key := c.Model.PrioritizedPrimaryField
	for _, r := range models {
		if r.HasOwnKey || key == nil || !r.Model.CanAddr() {
			continue
		}
		key.ReflectValueOf(c.Ctx, r.Model).SetZero()
	}
}

// payload is one element of what an upsert was given in place of models: a map, or a struct of another type on the table.
type payload struct {
	target reflect.Value // as the statement takes it
	dest   any
	model  reflect.Value // a model of the row that holds what the element does
}

// isOfPayloads tells an upsert of maps, or of another type's structs.
func (c *Call) isOfPayloads() bool { return len(c.candidates()) == 0 }

// upsertPayloads is the upsert of what is no model, where SQL cannot move the version on or where the call says which
// version it expects: each row is read and locked before it is written.
func (c *Call) upsertPayloads(conflict clause.OnConflict, expected any) {
	c.together(func() {
		affected := int64(0)
		for index, p := range c.payloads() {
			if c.DB.Error != nil {
				return
			}
			c.pointAt(p.target, p.dest, func() { c.upsertPayload(conflict, p, index, expected) })
			affected += c.DB.RowsAffected
		}
		c.setRowsAffected(affected)
	})
}

func (c *Call) upsertPayload(conflict clause.OnConflict, p payload, index int, expected any) {
	there, states, missing, err := c.lockStored(conflict, []rows.Row{{Index: index, Model: p.model}})
	defer func() { c.Lookup = rows.Lookup{Own: c.Own} }()
	switch {
	case err != nil:
		_ = c.DB.AddError(err)
	case c.expects && !c.switches.Unchecked && !c.isExpected(there, missing, states, expected):
	case len(there) == 0:
		given := c.Stmt.Clauses["ON CONFLICT"]
		delete(c.Stmt.Clauses, "ON CONFLICT")
		c.insert()
		c.Stmt.Clauses["ON CONFLICT"] = given
	case c.DB.AddError(c.setNextAfter(there[0])) == nil:
		c.sendPayload(c.nextAfter(there[0]))
	}
}

// isExpected compares the row of an element with the version that the call expects.
func (c *Call) isExpected(there []*rows.Row, missing []rows.Row, states []rows.State, expected any) bool {
	c.Counters().Checked.Add(1)
	hand := there
	for i := range missing {
		hand, states = append(hand, &missing[i]), append(states, rows.State{})
	}
	hand[0].Expected = expected
	if c.areCurrent(hand, states) {
		return true
	}
	c.refuseRows(hand, states, nil)
	return false
}

func (c *Call) sendPayload(next any) {
	numbered, err := c.numberInserted()
	defer numbered.putBack()
	if c.DB.AddError(err) == nil {
		c.buildUpsert(next)
		c.Plugin.Gorm.create(c.DB)
	}
}

// payloads are the elements of the statement, each with a model of its row.
func (c *Call) payloads() (payloads []payload) {
	addMap := func(values map[string]any) {
		payloads = append(payloads, payload{reflect.ValueOf(values), values, c.modelOfMap(values)})
	}
	switch dest := c.givenMaps().(type) {
	case map[string]any:
		addMap(dest)
	case []map[string]any:
		for _, values := range dest {
			addMap(values)
		}
	default:
		_ = c.eachModel(func(_ int, other reflect.Value) error {
			payloads = append(payloads, payload{other, other.Addr().Interface(), c.modelOfStruct(other)})
			return nil
		})
	}
	return payloads
}

// modelOfMap is a model that has what a map says of the columns.
func (c *Call) modelOfMap(values map[string]any) reflect.Value {
	model := reflect.New(c.Model.ModelType).Elem()
	for name, value := range values {
		c.setColumn(model, c.Model.LookUpField(name), value)
	}
	return model
}

// modelOfStruct is a model that has what another type's struct says of the columns.
func (c *Call) modelOfStruct(other reflect.Value) reflect.Value {
	model := reflect.New(c.Model.ModelType).Elem()
	for _, field := range c.Stmt.Schema.FieldsByDBName {
		value, isZero := field.ValueOf(c.Ctx, other)
		if !isZero {
			c.setColumn(model, c.Model.LookUpField(field.DBName), value)
		}
	}
	return model
}

func (c *Call) setColumn(model reflect.Value, field *schema.Field, value any) {
	if field != nil && field != c.Model.Version.Field && value != nil && !clauses.IsExpression(value) {
		_ = c.DB.AddError(field.Set(c.Ctx, model, value))
	}
}

// pointAt has do see one element of the statement alone.
func (c *Call) pointAt(target reflect.Value, dest any, do func()) {
	stmt := c.Stmt
	before, beforeDest := stmt.ReflectValue, stmt.Dest
	defer func() { stmt.ReflectValue, stmt.Dest = before, beforeDest }()
	stmt.ReflectValue, stmt.Dest = target, dest
	stmt.SQL.Reset()
	stmt.Vars = nil
	c.DB.RowsAffected = 0
	do()
}
