package occ

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/dialect"
)

// site is where a statement works, and how its rows are found.
type site struct {
	db      *gorm.DB
	stmt    *gorm.Statement
	ctx     context.Context
	model   *model
	dialect *dialect.Dialect
	lookup
	keys keyRoom
}

// lookup is how the rows of a statement are found, and what else they have to be.
type lookup struct {
	identity []*schema.Field     // what rows are found by, where that is not the primary key
	target   []clause.Expression // what the rows of a conflict target have to be besides
	asShown  bool                // rows are read as the transaction shows them, and not locked
	own      clause.Clause       // WHERE as the caller left it
	proposed []batchColumn       // what own says of the rows that an upsert was to insert
}

// keyRoom is room for the keys of rows, so that they cost few allocations.
type keyRoom struct {
	first   [1]any
	taken   int
	further []any // of several rows at once
}

// take returns room for a key of that many parts.
func (k *keyRoom) take(parts int) []any {
	k.taken++
	if parts == len(k.first) && k.taken == 1 {
		return k.first[:]
	}
	if cap(k.further) < parts {
		k.further = make([]any, 0, parts*k.taken)
	}
	key := k.further[:parts:parts]
	k.further = k.further[parts:parts]
	return key
}

// write is one of GORM's writing calls on its way through the callbacks: open makes it, the guard compares, close
// reports and puts memory right. It travels in the statement's clauses.
type write struct {
	site
	plugin   *engine
	op       conflict.Op
	switches switches
	unit     *unit // set where the call may write more than one row

	rows    []row        // the models in hand that name a row, in the order they were passed
	expects bool         // the expected version was given, by Expect or in the payload, not found in the model
	clauses []keptClause // clauses to be given back to the caller as they were
	// neverLoaded are models that Save inserts: a refusal of others in the same slice names those that are there
	neverLoaded  []*row
	isGuarded    bool           // the plugin's callback has been in the place of GORM's
	isQuiet      bool           // the end of a Save that has nothing to insert
	isCreate     bool           // the call goes through GORM's create callbacks
	isLinked     bool           // GORM saves associations along with their owner
	payload      *row           // the payload of an update, where it is another model of the row in hand
	keepsVersion bool           // the write is compared, and leaves the version as it is
	isWhole      bool           // all columns of the rows are written
	refusal      error          // the refusal as it is to be reported
	memories     []memory       // to be undone if the default transaction is rolled back
	snapshot     *snapshotWrite // set while models are compared with their snapshots

	// room for the write of one row, so that it costs few allocations
	room struct {
		rows      [1]row
		memories  [1]memory
		clauses   [4]keptClause
		where     [2]clause.Expression
		condition rowCondition
		set       setClause

		assignments clause.Set // of what the statement sets; kept from write to write
	}
}

// pool keeps writes between calls.
var pool = sync.Pool{New: func() any { return new(write) }}

func (w *write) free() {
	assignments := w.room.assignments[:cap(w.room.assignments)]
	clear(assignments)
	*w = write{}
	w.room.assignments = assignments
	pool.Put(w)
}

// roomForSet is room for n assignments.
func (w *write) roomForSet(n int) clause.Set {
	if cap(w.room.assignments) < n {
		w.room.assignments = make(clause.Set, 0, n)
	}
	return w.room.assignments[:0]
}

// row is one model in hand and the versions of its write.
type row struct {
	index    int
	model    reflect.Value // a struct
	key      []any         // by primary field; nil where no part of it is set
	before   any           // the version in memory
	expected any           // the version compared with
	next     any           // the version written
	copies   []*row        // further models of the same row

	hasOwnKey bool // of a model to be created: the database has no key to generate
}

const writeClause = "occ:write"

// Build writes nothing: a write is no SQL, it only travels with the statement.
func (*write) Build(clause.Builder) {}

// open begins the plugin's part of a call.
func (p *engine) open(op conflict.Op) func(*gorm.DB) {
	return func(db *gorm.DB) {
		resume(db)
		p.enter(db)
		m := p.modelOf(db.Statement)
		if m == nil {
			_ = db.AddError(unknownTable(db.Statement))
			return
		}
		if err := p.openWrite(db, m, op); err != nil {
			_ = db.AddError(err)
		}
	}
}

// unknownTable reports as an error that a write has an expected version and there is no model to compare it by.
func unknownTable(stmt *gorm.Statement) error {
	if _, expects := stmt.Clauses[expectClause]; !expects {
		return nil
	}
	return fmt.Errorf("occ: Expect on a write of table %q, of which no model with a version is known: pass the model with Model(&T{}): %w", stmt.Table, gorm.ErrModelValueRequired)
}

func (p *engine) openWrite(db *gorm.DB, m *model, op conflict.Op) error {
	stmt := db.Statement
	switches, err := switchesOf(stmt)
	if err = errors.Join(m.err, err); err != nil {
		return err
	}
	if err := switches.fit(m); err != nil {
		return err
	}
	if !m.isInvolved() && !m.mayNest(stmt) {
		return nil
	}
	if switches.touch != nil {
		op = conflict.OpTouch
	}
	target := targetOf(stmt, op)
	if m.isInvolved() && !deletesFromTable(stmt, op) {
		if err := checkModels(db, m, target, op); err != nil {
			return err
		}
	}
	if db.Error != nil {
		return nil
	}
	w := pool.Get().(*write)
	w.plugin, w.db, w.stmt, w.ctx, w.dialect = p, db, stmt, stmt.Context, p.dialect
	w.model, w.op, w.switches = m, op, switches
	w.clauses = w.room.clauses[:0]
	w.isCreate = op == conflict.OpUpsert
	w.isLinked = op == conflict.OpUpsert && isAssociationSave(db)
	stmt.Clauses[writeClause] = clause.Clause{Expression: w}
	if w.isEndOfSave() {
		w.endSave()
		return nil
	}
	return w.openUnit(target)
}

// openUnit opens the unit of a call that may write several rows through several statements.
func (w *write) openUnit(target reflect.Value) (err error) {
	if !w.model.mayNest(w.stmt) || w.db.DryRun {
		return nil
	}
	_, startedByGORM := w.db.InstanceGet("gorm:started_transaction")
	if startedByGORM && !isTransaction(w.stmt.ConnPool) {
		if w.savesMore(target) {
			return notATransaction(w.stmt.ConnPool)
		}
		return nil
	}
	isUndoneByOwner := w.isLinked && isTransaction(w.stmt.ConnPool)
	if !startedByGORM && (isUndoneByOwner || !w.savesMore(target)) {
		return nil
	}
	if w.unit, err = w.plugin.openUnit(w.db, startedByGORM); err != nil {
		return err
	}
	w.unit.hold()
	w.unit.journal.enter()
	if w.op == conflict.OpDelete {
		_ = w.eachModel(func(_ int, model reflect.Value) error {
			w.note(model)
			return nil
		})
	}
	return nil
}

// isAssociationSave tells the INSERT with which GORM saves associations along with their owner.
func isAssociationSave(db *gorm.DB) bool {
	_, visits := db.Get("gorm:saved_association_map")
	return visits && db.DisableNestedTransaction
}

func (w *write) savesMore(target reflect.Value) bool {
	if len(w.model.touches) > 0 {
		return true
	}
	if w.op == conflict.OpDelete {
		return len(w.stmt.Selects) > 0 && w.plugin.reachesVersions(w.model)
	}
	return w.plugin.reachesVersions(w.model) && savesAssociations(w.stmt, w.model, target, w.op == conflict.OpUpsert)
}

// targetOf is the model or models that a statement is about, before GORM has set it up.
func targetOf(stmt *gorm.Statement, op conflict.Op) reflect.Value {
	if (op == conflict.OpUpdate || op == conflict.OpTouch) && stmt.Model != nil {
		return indirect(reflect.ValueOf(stmt.Model))
	}
	return stmt.ReflectValue
}

func indirect(rv reflect.Value) reflect.Value {
	for rv.Kind() == reflect.Pointer || rv.Kind() == reflect.Interface {
		rv = rv.Elem()
	}
	return rv
}

// deletesFromTable tells Table("products").Where(...).Delete(nil), which is about no model.
func deletesFromTable(stmt *gorm.Statement, op conflict.Op) bool {
	return op == conflict.OpDelete && stmt.Model == nil && stmt.Dest == nil
}

// checkModels refuses what GORM would panic on or take for a write to every row, by name.
func checkModels(db *gorm.DB, m *model, target reflect.Value, op conflict.Op) error {
	if !target.IsValid() && isTypedNil(db.Statement.Model) && db.Error == nil {
		return nil // Model((*T)(nil)) names no row: the write is one by condition
	}
	if !target.IsValid() {
		db.Error = nil // GORM's ErrInvalidValue, which does not say of what
		return fmt.Errorf("occ: model %s is a nil pointer: pass the model, or &%s{} to write by condition: %w", m.Name, m.Name, gorm.ErrInvalidValue)
	}
	if target.Kind() != reflect.Slice && target.Kind() != reflect.Array {
		return nil
	}
	for i := range target.Len() {
		if !indirect(target.Index(i)).IsValid() {
			return fmt.Errorf("occ: element %d of the %s slice is a nil pointer: remove it: %w", i, m.Name, nilElement(op))
		}
	}
	return nil
}

// nilElement is GORM's own error for a nil pointer in a slice.
func nilElement(op conflict.Op) error {
	if op == conflict.OpUpsert {
		return gorm.ErrInvalidData
	}
	return gorm.ErrInvalidValue
}

// isTypedNil reports whether a model is a nil pointer to a struct.
func isTypedNil(model any) bool {
	rv := reflect.ValueOf(model)
	return rv.Kind() == reflect.Pointer && rv.IsNil() && rv.Type().Elem().Kind() == reflect.Struct
}

// writeOf is the write that open left on the statement; ok is false where there is nothing for the plugin to do.
func writeOf(db *gorm.DB) (w *write, ok bool) {
	c, ok := db.Statement.Clauses[writeClause]
	if !ok || db.Error != nil {
		return nil, false
	}
	w, ok = c.Expression.(*write)
	return w, ok && w.stmt == db.Statement && w.model.isInvolved()
}

// close ends the plugin's part of a call, behind the commit or rollback of its default transaction.
func (p *engine) close(db *gorm.DB) {
	c, ok := db.Statement.Clauses[writeClause]
	if !ok {
		return
	}
	delete(db.Statement.Clauses, writeClause)
	w, ok := c.Expression.(*write)
	if !ok || w.stmt != db.Statement {
		return
	}
	w.followCopies()
	w.closeUnit()
	db.Error = w.sayAll(p.sayOnce(db.Error))
	if db.Error != nil && len(w.memories) > 0 && w.startedTransaction() {
		putBack(w.ctx, w.memories)
	}
	if w.isCreate {
		w.settleBatch()
	}
	w.report()
	w.free()
}

// sayAll makes sure that errors.Is finds why a call failed: GORM puts the error of a rollback on top of it, in words alone.
func (w *write) sayAll(err error) error {
	if w.refusal != nil && err != nil && !errors.Is(err, w.refusal) {
		err = fmt.Errorf("%w; %w", w.refusal, err)
	}
	return becauseOf(w.ctx, err)
}

func (w *write) startedTransaction() bool {
	_, started := w.db.InstanceGet("gorm:started_transaction")
	return started
}

func (w *write) closeUnit() {
	if w.unit == nil {
		return
	}
	w.unit.journal.leave()
	memories := w.unit.journal.memories[min(w.unit.mark, len(w.unit.journal.memories)):]
	if err := w.unit.close(w.db, w.db.Error != nil); err != nil && w.db.Error == nil {
		_ = w.db.AddError(err)
	}
	if w.unit.ownsJournal && w.db.Error == nil {
		w.memories = append(w.memories, memories...)
	}
}

// report counts the refusal and tells the conflict hook of it.
func (w *write) report() {
	if w.refusal == nil {
		return
	}
	counters := w.counters()
	counters.refused.Add(1)
	if j := w.plugin.journals.of(w.stmt.ConnPool); j != nil {
		j.refusal, j.refused = w.refusal, counters
	}
	ctx, refusal, face := w.ctx, w.refusal, w.plugin.face
	if j := w.plugin.journals.of(w.stmt.ConnPool); j != nil && j.holds > 0 {
		j.pending = append(j.pending, func() { face.Report(ctx, refusal) })
		return
	}
	face.Report(ctx, refusal)
}

// counters are those of the table that the statement writes, whatever alias it goes by.
func (w *write) counters() *tableCounters {
	return w.plugin.counters.of(w.tableName(), w.model.Table)
}

func (w *write) tableName() string {
	if w.stmt.TableExpr == nil || w.stmt.Table == w.model.Table {
		return w.stmt.Table
	}
	return tableNamed(w.stmt.TableExpr, w.model.Table)
}

// identify finds out which rows the call is about and which version each is expected to be at: the first of Expect, the
// payload's and the model's own.
func (w *write) identify(target reflect.Value, payload any) error {
	given, err := w.givenVersion(payload)
	if err != nil {
		return err
	}
	w.rows = w.room.rows[:0]
	switch {
	case target.Kind() == reflect.Struct && target.Type() == w.model.ModelType:
		return w.addRow(0, target, given)
	case target.Kind() == reflect.Slice, target.Kind() == reflect.Array:
		for i := range target.Len() {
			if err := w.addRow(i, indirect(target.Index(i)), given); err != nil {
				return err
			}
		}
		if len(w.rows) > 0 {
			return w.dropKeyless()
		}
	}
	if w.expects && len(w.rows) == 0 { // a table without a model, or one of another type: the write goes by its conditions
		w.rows = append(w.rows, row{model: reflect.Zero(w.model.ModelType), expected: given})
	}
	return nil
}

// givenVersion is the version that the caller said the write is based on; nil if none was said.
func (w *write) givenVersion(payload any) (any, error) {
	version := w.model.version
	if version == nil {
		return nil, nil
	}
	if w.switches.expects {
		w.expects = true
		return w.switches.versionFor(version)
	}
	if payload == nil {
		return nil, nil
	}
	given, err := version.convert(payload, "the version in the payload")
	if err != nil || version.kind.isZero(given) {
		return nil, err
	}
	w.expects = true
	return given, nil
}

// addRow adds a model to the rows of the write, unless nothing in it says which row it is.
func (w *write) addRow(index int, model reflect.Value, given any) error {
	if model.Kind() != reflect.Struct || model.Type() != w.model.ModelType {
		return nil
	}
	version := w.model.version
	if version == nil {
		w.addUnversioned(index, model)
		return nil
	}
	r := row{index: w.switches.touch.indexOf(index), model: model, key: w.keyOf(model), before: version.of(w.ctx, model)}
	r.expected = r.before
	if w.expects {
		r.expected = given
	}
	if r.key == nil && !w.expects && version.kind.isZero(r.expected) {
		return nil
	}
	w.rows = append(w.rows, r)
	return nil
}

// addUnversioned adds a row that is not compared: its write touches its parents.
func (w *write) addUnversioned(index int, model reflect.Value) {
	if key := w.keyOf(model); key != nil {
		w.rows = append(w.rows, row{index: index, model: model, key: key})
	}
}

func (w *site) keyOf(model reflect.Value) []any {
	fields := w.identityFields()
	key, isSet := w.keys.take(len(fields)), false
	for i, field := range fields {
		value, isZero := field.ValueOf(w.ctx, model)
		key[i], isSet = value, isSet || !isZero
	}
	if !isSet {
		return nil
	}
	return key
}

// identityFields are what the rows of the write are found by.
func (w *site) identityFields() []*schema.Field {
	if w.identity != nil {
		return w.identity
	}
	return w.model.PrimaryFields
}

// setNext asks for the version after the expected one of every row. An error stops the write before anything is sent.
func (w *write) setNext() (err error) {
	for i := range w.rows {
		if err = w.setNextOf(&w.rows[i]); err != nil {
			return err
		}
	}
	return nil
}

func (w *write) setNextOf(r *row) error {
	if w.switches.unchecked && !w.model.version.isAdvancedInSQL() {
		return nil // the row is read first
	}
	return w.setNextAfter(r)
}

// setNextAfter asks for the version after the expected one of a row, unless the database gives it.
func (w *write) setNextAfter(r *row) (err error) {
	if w.model.version.byDatabase {
		return nil
	}
	if r.next, err = w.model.version.kind.next(w.ctx, r.expected); err != nil {
		return w.versionError(err)
	}
	return nil
}

func (w *write) versionError(err error) error {
	return fmt.Errorf("occ: model %s, field %s: no next version: %w", w.model.Name, w.model.version.Name, err)
}

// isBlind tells whether the call asked not to be compared.
func (w *write) isBlind() bool {
	if w.switches.unchecked {
		return true
	}
	if !w.plugin.blindWrites || w.expects {
		return false
	}
	for _, r := range w.rows {
		if !w.model.version.kind.isZero(r.expected) {
			return false
		}
	}
	return true
}

// advance gives a model in memory the version that was written, and the payload too where that is one of the row.
func (w *write) advance(r *row, version any) {
	w.advanceModel(r, version)
	if w.payload != nil && r == &w.rows[0] {
		w.advanceModel(w.payload, version)
	}
}

func (w *write) advanceModel(r *row, version any) {
	w.remember(r)
	w.note(r.model)
	w.model.version.put(w.ctx, r.model, version)
	if base := w.model.base; base != nil && base != w.model.version {
		w.putBase(r.model, nil)
	}
}

// putBack gives the models in memory the versions they had: nothing was written.
func (w *write) putBack() {
	if w.model.version == nil {
		return
	}
	for _, r := range w.rows {
		w.model.version.put(w.ctx, r.model, r.before)
	}
}

func (w *write) remember(r *row) {
	if !r.model.CanAddr() {
		return
	}
	w.keep(memory{field: w.model.version, model: r.model, version: r.before, isWhole: w.isWhole})
}

func (w *write) keep(m memory) {
	if j := w.plugin.journals.of(w.stmt.ConnPool); j != nil {
		m.key = keyOfModel(w.ctx, w.model.Schema, m.model)
		j.memories = append(j.memories, m)
		return
	}
	if w.memories == nil {
		w.memories = w.room.memories[:0]
	}
	w.memories = append(w.memories, m)
}

// keptClause is a clause as it was before the plugin changed it.
type keptClause struct {
	name   string
	clause clause.Clause
	was    bool
}

// softDeleteMark is where GORM notes that it has added the condition of a soft delete to WHERE.
const softDeleteMark = "soft_delete_enabled"

// keepClauses remembers clauses that are about to change; giveBackClauses restores them, so that the caller can use the
// statement again.
func (w *write) keepClauses(names ...string) {
	for _, name := range names {
		c, was := w.stmt.Clauses[name]
		w.clauses = append(w.clauses, keptClause{name, c, was})
	}
}

func (w *write) giveBackClauses() {
	for _, kept := range slices.Backward(w.clauses) { // one that was kept twice is what it was at first
		if kept.was {
			w.stmt.Clauses[kept.name] = kept.clause
		} else {
			delete(w.stmt.Clauses, kept.name)
		}
	}
	w.clauses = w.clauses[:0]
}
