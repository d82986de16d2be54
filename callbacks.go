package occ

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/conflict"
)

// guarded makes sure that a write did go through the plugin's callback: whoever has replaced it since has sent the statement
// unchecked. GORM's default transaction is then rolled back.
func (p *engine) guarded(db *gorm.DB) {
	if w, ok := writeOf(db); ok && !w.isGuarded {
		_ = db.AddError(fmt.Errorf("occ: model %s: the write was not checked: another plugin has replaced GORM's callback after db.Use(occ.New()); register that plugin first", w.model.Name))
	}
}

// guardUpdate makes the UPDATE conditional on the version the caller read and has it write the next one.
func (p *engine) guardUpdate(db *gorm.DB) {
	w, ok := writeOf(db)
	if !ok {
		p.gorm.update(db)
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
	w.own = db.Statement.Clauses["WHERE"]
	w.takePayload()
	w.choosing(w.updateAs)
}

func (w *write) updateAs() {
	w.catchUp(w.pointers())
	w.isWhole = w.isWholeRow()
	set := w.assignments()
	defer w.keepKeys()
	switch isEmpty := len(set) == 0 && !w.isWholeRow() && w.switches.touch == nil; {
	case w.db.Error != nil:
	case !isEmpty:
		w.update(set)
	case w.expects && !w.db.DryRun:
		w.verifyExpected()
	}
}

// keepReturnable copies a model that was passed by value where GORM is going to scan what RETURNING gives into it.
func (w *write) keepReturnable() {
	passed := w.stmt.ReflectValue
	if _, returning := w.stmt.Clauses["RETURNING"]; !returning || passed.Kind() != reflect.Struct || passed.CanAddr() {
		return
	}
	w.stmt.ReflectValue = reflect.New(passed.Type()).Elem()
	w.stmt.ReflectValue.Set(passed)
}

// keepKeys gives models the keys back that the payload was to change, where nothing was written: a model must not name
// another row than the one that its version is of.
func (w *write) keepKeys() {
	if w.db.Error == nil && w.db.RowsAffected > 0 && !w.db.DryRun {
		return
	}
	for _, r := range w.rows {
		for i := range r.key {
			field := w.model.PrimaryFields[i]
			if value, _ := field.ValueOf(w.ctx, r.model); r.model.CanAddr() && !reflect.DeepEqual(value, r.key[i]) {
				_ = field.Set(w.ctx, r.model, r.key[i])
			}
		}
	}
}

// takePayload finds out whether the payload is itself a model of the one row that is written, as in
// Model(&T{ID: id}).Updates(&loaded). It is advanced along with it.
func (w *write) takePayload() {
	dest := reflect.ValueOf(w.stmt.Dest)
	if len(w.rows) != 1 || w.model.version == nil || dest.Kind() != reflect.Pointer || dest.Type().Elem() != w.model.ModelType || dest.IsNil() || w.destIsModel() {
		return
	}
	payload := dest.Elem()
	if key := w.keyOf(payload); key != nil {
		before := w.model.version.of(w.ctx, payload)
		w.payload = &row{model: payload, key: key, before: before, expected: before}
	}
}

// updated is the model or models that an update is about; a map or another model on the same table names no row.
func (w *write) updated() reflect.Value {
	if w.stmt.Schema == nil {
		return reflect.Value{}
	}
	return w.stmt.ReflectValue
}

// update runs the UPDATE with the assignments that the caller asked for, in the way the write deserves.
func (w *write) update(set clause.Set) {
	if w.isUncounted(set) {
		w.updateUncounted(set)
		return
	}
	w.touching(set, func() { w.updateCounted(set) })
}

// updateUncounted runs an UPDATE that leaves the version as it is. What the caller said of the version is compared even so.
func (w *write) updateUncounted(set clause.Set) {
	switch {
	case !w.expects || w.db.DryRun:
		w.updateUncompared(set)
	case len(w.rows) == 1 && !w.model.version.byDatabase && (w.rows[0].key != nil || !w.dialect.CountsChangedRows):
		w.updateAtVersion(set)
	default:
		w.within(func() error {
			if w.verifyExpected(); w.db.Error == nil {
				w.updateUncompared(set)
			}
			return w.db.Error
		})
	}
}

// updateAtVersion runs an UPDATE of a row that is still at the expected version, and leaves it there.
func (w *write) updateAtVersion(set clause.Set) {
	if !w.namesRows() {
		return
	}
	w.counters().checked.Add(1)
	w.keepsVersion = true
	w.rows[0].next = w.rows[0].expected
	w.whereRow(true)
	w.run(set, w.plugin.gorm.update)
	w.check()
}

// verifyExpected compares rows with the expected version and writes nothing.
func (w *write) verifyExpected() {
	if !w.namesRows() {
		return
	}
	w.counters().checked.Add(1)
	rows, states, err := w.lockExpected()
	switch isByCondition := w.rows[0].key == nil; {
	case err != nil:
		w.failRows(w.pointers(), err)
	case isByCondition:
		w.verifyMatched(rows, states)
	case !w.areCurrent(rows, states):
		w.refuseRows(rows, states, nil)
	}
}

// verifyMatched refuses a write by conditions that match no row at the expected version.
func (w *write) verifyMatched(rows []*row, states []rowState) {
	for i, r := range rows {
		if r.expected = w.rows[0].expected; w.isCurrent(r, states[i]) {
			return
		}
	}
	w.refuse(nil)
}

// updateUncompared runs the UPDATE as GORM would.
func (w *write) updateUncompared(set clause.Set) {
	switch {
	case w.model.version == nil:
		w.plugin.gorm.update(w.db)
	case len(w.rows) > 1:
		w.updateSeveralUncompared(set)
	default:
		w.whereRow(false)
		w.run(set, w.plugin.gorm.update)
	}
}

func (w *write) updateCounted(set clause.Set) {
	if w.model.version == nil {
		w.updateUncompared(set)
		return
	}
	if w.hasSnapshots() {
		w.chooseColumns(set)
	}
	switch {
	case len(w.rows) > 1:
		w.updateSeveral(set)
	case len(w.rows) == 0 || w.isBlind():
		w.writeUnchecked(set, w.plugin.gorm.update)
	default:
		if w.db.AddError(w.setNext()) != nil {
			return
		}
		w.writeCompared(w.andVersion(set, w.rows[0].next), w.plugin.gorm.update)
	}
}

// assignments are what the payload sets, less what the plugin answers for. GORM's own conversion copies the payload into
// the model and adds conditions on the key; the version and the conditions are put back.
func (w *write) assignments() clause.Set {
	where, hadWhere := w.stmt.Clauses["WHERE"]
	w.own = where
	var set clause.Set
	if given, ok := w.stmt.Clauses["SET"]; ok {
		assignments, _ := given.Expression.(clause.Set)
		set = append(set, assignments...)
	} else {
		set = callbacks.ConvertToAssignments(w.stmt)
	}
	w.putBack()
	switch {
	case w.keepsKey(where):
	case hadWhere:
		w.stmt.Clauses["WHERE"] = where
	default:
		delete(w.stmt.Clauses, "WHERE")
	}
	return w.withoutVersion(set)
}

// keepsKey leaves the conditions on the key that GORM has added where they are of a model of another type on the same
// table: it names rows, but not to the plugin.
func (w *write) keepsKey(where clause.Clause) bool {
	own, _ := where.Expression.(clause.Where)
	all, _ := w.stmt.Clauses["WHERE"].Expression.(clause.Where)
	added := all.Exprs[min(len(own.Exprs), len(all.Exprs)):]
	if len(added) == 0 || w.namesModels() {
		return false
	}
	if len(own.Exprs) > 0 {
		added = append([]clause.Expression{group{own.Exprs}}, added...)
	}
	where.Name, where.Expression = "WHERE", clause.Where{Exprs: added}
	w.own, w.stmt.Clauses["WHERE"] = where, where
	return true
}

// namesModels tells whether the rows of the write are known by their models.
func (w *write) namesModels() bool {
	return len(w.rows) > 0 && w.rows[0].key != nil
}

// withoutVersion drops the version that a payload tried to set, and from a whole row the columns that are unversioned.
// What is left then, if it is automatic timestamps at most, is nothing; a Save of a model that has no other columns
// still writes the next version.
func (w *write) withoutVersion(set clause.Set) clause.Set {
	kept, others := w.roomForSet(len(set)+1), 0
	for _, assignment := range set {
		if w.isVersionColumn(assignment.Column.Name) || w.isLeftOut(assignment.Column.Name) {
			continue
		}
		kept = append(kept, assignment)
		if !w.isTimestamp(assignment) {
			others++
		}
	}
	if len(kept) < len(set) && others == 0 && !w.isWholeRow() {
		_ = w.db.AddError(w.versionAlone(set))
		return nil
	}
	return kept
}

// versionAlone reports as an error a write of nothing but the version, as an expression: it would be left out, and nothing
// would happen.
func (w *write) versionAlone(set clause.Set) error {
	for _, assignment := range set {
		if w.isVersionColumn(assignment.Column.Name) && isExpression(assignment.Value) {
			return fmt.Errorf("occ: model %s, field %s: a write of the version alone, as an expression: call occ.Touch to write the next version and nothing else: %w",
				w.model.Name, w.model.version.Name, gorm.ErrInvalidData)
		}
	}
	return nil
}

// isLeftOut tells an unversioned column in the write of a whole model: a stale copy must not overwrite it. Naming the
// column in Select writes it.
func (w *write) isLeftOut(column string) bool {
	if !w.model.hasUnversioned || !w.writesModel() {
		return false
	}
	field := w.model.LookUpField(column)
	return field != nil && isUnversioned(field) &&
		!slices.Contains(w.stmt.Selects, field.DBName) && !slices.Contains(w.stmt.Selects, field.Name)
}

// writesModel tells a call whose payload is the model itself: Save(&m), Updates(&m), and Updates(m) by value.
func (w *write) writesModel() bool {
	if w.destIsModel() || slices.Contains(w.stmt.Selects, "*") {
		return true
	}
	dest := reflect.ValueOf(w.stmt.Dest)
	return dest.Kind() == reflect.Struct && dest.Type() == w.model.ModelType &&
		reflect.TypeOf(w.stmt.Model) == dest.Type() && w.keyOf(dest) != nil
}

// isVersionColumn tells the column of the version by any name that GORM or the database takes for it.
func (w *write) isVersionColumn(name string) bool {
	version := w.model.version
	if version == nil || version.DBName == "" {
		return false
	}
	if name == version.DBName {
		return true
	}
	if field := w.model.LookUpField(name); field != nil {
		return field.DBName == version.DBName
	}
	// databases take a name in other letters, in quotes and with its table too, GORM's schema does not
	name = unquoted.Replace(name)
	return strings.EqualFold(name[strings.LastIndexByte(name, '.')+1:], version.DBName)
}

// isWholeRow tells a call that writes all columns of the model itself, as Save does.
func (w *write) isWholeRow() bool {
	return len(w.stmt.Selects) == 1 && w.stmt.Selects[0] == "*" && w.destIsModel()
}

func (w *write) destIsModel() bool {
	dest, model := reflect.ValueOf(w.stmt.Dest), reflect.ValueOf(w.stmt.Model)
	return dest.Kind() == reflect.Pointer && model.Kind() == reflect.Pointer && dest.Pointer() == model.Pointer()
}

// isUncounted tells a write that is no change of the row in the sense of its version: nothing but unversioned columns and
// timestamps that GORM keeps by itself.
func (w *write) isUncounted(set clause.Set) bool {
	for _, assignment := range set {
		field := w.model.LookUpField(assignment.Column.Name)
		if !w.isTimestamp(assignment) && (field == nil || !isUnversioned(field)) {
			return false
		}
	}
	return !w.isWholeRow() && w.switches.touch == nil
}

// isTimestamp tells a column that GORM sets to the current time, unless the caller set it by name.
func (w *write) isTimestamp(assignment clause.Assignment) bool {
	if !w.model.hasTimestamps {
		return false
	}
	field := w.model.LookUpField(assignment.Column.Name)
	if field == nil || field.AutoUpdateTime == 0 || w.stmt.SkipHooks || w.hasSnapshots() && isToken(field) {
		return false
	}
	if _, given := w.clausesBefore("SET"); given {
		return false
	}
	payload, _ := w.givenMaps().(map[string]any)
	return payload[field.Name] == nil && payload[field.DBName] == nil
}

func (w *write) clausesBefore(name string) (clause.Clause, bool) {
	for _, kept := range w.clauses {
		if kept.name == name {
			return kept.clause, kept.was
		}
	}
	return clause.Clause{}, false
}

// payloadVersion is the version that the payload of an update carries, which says what it was based on; nil if none.
func (w *write) payloadVersion() (version any, err error) {
	if given, ok := w.clausesBefore("SET"); ok {
		set, _ := given.Expression.(clause.Set)
		for _, assignment := range set {
			if version, err = w.orVersion(version, assignment.Column.Name, assignment.Value); err != nil {
				return nil, err
			}
		}
		return version, nil
	}
	payload := indirect(reflect.ValueOf(w.stmt.Dest))
	if !payload.IsValid() {
		return nil, nil
	}
	values, ok := w.givenMaps().(map[string]any)
	if !ok {
		return w.versionOfStruct(payload), nil
	}
	for name, value := range values {
		if version, err = w.orVersion(version, name, value); err != nil {
			return nil, err
		}
	}
	return version, nil
}

// orVersion is the version found so far in a payload, or the one that its next column holds: two of them, under two of the
// column's names, do not say what the payload was based on.
func (w *write) orVersion(found any, column string, value any) (any, error) {
	if value == nil || !w.isVersionColumn(column) || isExpression(value) {
		return found, nil
	}
	if found != nil && !reflect.DeepEqual(found, value) {
		return nil, fmt.Errorf("occ: model %s, field %s: the payload holds two versions: keep one", w.model.Name, w.model.version.Name)
	}
	return value, nil
}

// versionOfStruct finds the version in a struct that updates another model, of the same type or not.
func (w *write) versionOfStruct(payload reflect.Value) any {
	if payload.Kind() != reflect.Struct || payload.Type() == w.model.ModelType && w.destIsModel() || w.model.version == nil {
		return nil
	}
	s := w.model.Schema
	if w.hasSnapshots() {
		return w.snapshotOfStruct(payload)
	}
	if payload.Type() != s.ModelType {
		parsed := &gorm.Statement{DB: w.db}
		if parsed.Parse(w.stmt.Dest) != nil {
			return nil
		}
		s = parsed.Schema
	}
	field := s.LookUpField(w.model.version.DBName)
	if field == nil {
		return nil
	}
	if version, isZero := field.ValueOf(w.ctx, payload); !isZero {
		return version
	}
	return nil
}

// isExpression tells a value that the database computes: it says nothing of what the write is based on.
func isExpression(value any) bool {
	switch value.(type) {
	case clause.Expression, clause.Column, *gorm.DB, gorm.Valuer:
		return true
	}
	return false
}

// guardDelete makes the DELETE, or the UPDATE of a soft delete, conditional on the version; a soft delete writes the next
// one. GORM adds the conditions on the key.
func (p *engine) guardDelete(db *gorm.DB) {
	w, ok := writeOf(db)
	if !ok {
		p.gorm.delete(db)
		return
	}
	w.isGuarded = true
	w.keepClauses("WHERE", "SET", "RETURNING", softDeleteMark)
	defer w.giveBackClauses()
	if db.AddError(w.identify(w.deleted(), nil)) != nil {
		return
	}
	w.own = db.Statement.Clauses["WHERE"]
	w.choosing(func() { w.touching(nil, w.delete) })
}

func (w *write) delete() {
	db, p := w.db, w.plugin
	switch {
	case w.model.version == nil:
		p.gorm.delete(db)
	case len(w.rows) > 1:
		w.deleteSeveral()
	case len(w.rows) == 0 || w.isBlind():
		w.writeUnchecked(nil, p.gorm.delete)
	default:
		if db.AddError(w.setNext()) != nil {
			return
		}
		w.writeCompared(w.andVersion(nil, w.rows[0].next), p.gorm.delete)
	}
}

// deleted is the model or models that a delete is about: what was passed to Delete or, where that names no row, the
// statement's model, as GORM has it. One passed by value is copied, since GORM's soft delete writes to it.
func (w *write) deleted() reflect.Value {
	passed := w.stmt.ReflectValue
	if passed.Kind() == reflect.Slice || passed.Kind() == reflect.Array {
		return w.deletedOf(passed)
	}
	if passed.Kind() != reflect.Struct {
		return passed
	}
	if !passed.CanAddr() {
		passed = reflect.New(passed.Type()).Elem()
		passed.Set(w.stmt.ReflectValue)
		w.stmt.ReflectValue, w.stmt.Dest = passed, passed.Addr().Interface()
	}
	model := indirect(reflect.ValueOf(w.stmt.Model))
	if passed.Type() != w.model.ModelType || w.keyOf(passed) == nil && model.IsValid() {
		return model
	}
	return passed
}

// deletedOf is a slice that was passed to Delete, unless none of its elements names a row: it may be there only to be
// filled by RETURNING.
func (w *write) deletedOf(passed reflect.Value) reflect.Value {
	for i := range passed.Len() {
		elem := indirect(passed.Index(i))
		if elem.Type() != w.model.ModelType || w.keyOf(elem) != nil {
			return passed
		}
	}
	if model := indirect(reflect.ValueOf(w.stmt.Model)); model.IsValid() {
		return model
	}
	return passed
}

// andVersion adds the version to what a statement sets, unless the database writes it.
func (w *write) andVersion(set clause.Set, version any) clause.Set {
	if w.model.version.byDatabase {
		return w.orNothing(set)
	}
	if _, inSQL := version.(clause.Expression); !inSQL {
		version = w.model.version.kind.bind(version)
	}
	return w.alsoSet(set, clause.Assignment{Column: clause.Column{Name: w.model.version.DBName}, Value: version})
}

// alsoSet has the UPDATE set one more column. That of a soft delete is built by GORM inside gorm:delete, and keeps what
// stands behind the SET; a hard delete has no SET.
func (w *write) alsoSet(set clause.Set, assignment clause.Assignment) clause.Set {
	if w.op != conflict.OpDelete {
		return append(set, assignment)
	}
	w.stmt.Clauses["SET"] = clause.Clause{AfterExpression: furtherAssignments{assignment}}
	return nil
}

type furtherAssignments clause.Set

func (a furtherAssignments) Build(builder clause.Builder) {
	if len(a) == 0 {
		return
	}
	_ = builder.WriteByte(',')
	clause.Set(a).Build(builder)
}

// writeUnchecked writes whatever version the rows are at. Where the model in hand names the row, it learns the version
// that was written, in the same transaction: later, it could be the version of somebody else's write.
func (w *write) writeUnchecked(set clause.Set, gormWrite func(*gorm.DB)) {
	if len(w.rows) > 0 {
		w.counters().blind.Add(1)
		w.whereRow(false)
	}
	next := w.model.version.kind.nextInSQL(w.model.version.column())
	switch {
	case w.model.version.byDatabase, next != nil:
		w.writeAndLearn(w.andVersion(set, next), gormWrite)
	default:
		w.writeMatched(set, gormWrite)
	}
}

func (w *write) writeAndLearn(set clause.Set, gormWrite func(*gorm.DB)) {
	if len(w.rows) == 0 {
		w.run(set, gormWrite)
		return
	}
	w.within(func() error {
		w.run(set, gormWrite)
		switch {
		case w.db.Error != nil, w.db.DryRun, w.op == conflict.OpDelete && !w.wasSoftDelete():
			return w.db.Error
		case w.db.RowsAffected == 0:
			return w.learnUnchanged(&w.rows[0])
		}
		return w.learnVersion(&w.rows[0])
	})
}

// learnUnchanged is for a row that may hold already what it was to be set to, so that it was not counted. Where there were
// conditions too, they may not have held, and the model must not learn a version that goes with values it has never seen.
func (w *write) learnUnchanged(r *row) error {
	if !w.mayBeUnchanged() || w.hasOwnConditions() || r.key == nil || !r.model.CanAddr() {
		return nil
	}
	state, err := w.read(r)
	if err == nil && w.isInReach(state) {
		w.advance(r, w.learned(r, state.version))
	}
	return err
}

// within runs write in a transaction; its error is the statement's.
func (w *write) within(write func() error) {
	err := w.plugin.inTransaction(w.db, write)
	if err != nil && w.db.Error == nil {
		_ = w.db.AddError(err)
	}
}

func (w *write) learnVersion(r *row) error {
	if r.key == nil && w.payload != nil {
		r = w.payload
	}
	if r.key == nil || !r.model.CanAddr() {
		return nil
	}
	state, err := w.read(r)
	if err == nil && state.isThere {
		w.advance(r, w.learned(r, state.version))
	}
	return err
}

// writeCompared writes if the row is still at the expected version.
func (w *write) writeCompared(set clause.Set, gormWrite func(*gorm.DB)) {
	if !w.namesRows() {
		return
	}
	w.counters().checked.Add(1)
	if w.hasSnapshots() {
		w.writeSnapshot(set, gormWrite)
		return
	}
	w.whereRow(true)
	if w.model.version.byDatabase {
		w.writeByDatabase(set, gormWrite)
		return
	}
	w.run(set, gormWrite)
	w.check()
}

// namesRows holds up GORM's rule that a write without a condition is a mistake; the version alone is no condition.
func (w *write) namesRows() bool {
	if w.hasOwnConditions() || w.rows[0].key != nil || w.db.AllowGlobalUpdate {
		return true
	}
	_ = w.db.AddError(gorm.ErrMissingWhereClause)
	return false
}

func (w *site) hasOwnConditions() bool {
	where, _ := w.own.Expression.(clause.Where)
	return len(where.Exprs) > 0
}

// whereRow has the write be one of its row, by the key, unless GORM adds that by itself, and the version; and has both
// apply to all of the caller's conditions: (a OR b) AND key AND version.
func (w *write) whereRow(compared bool) {
	conditions := w.room.where[:0]
	if own, _ := w.own.Expression.(clause.Where); len(own.Exprs) > 0 {
		conditions = append(conditions, group{own.Exprs})
	}
	if len(w.rows) > 0 {
		row := rowCondition{model: w.model, key: w.rows[0].key, isCompared: compared}
		if compared {
			row.version = w.comparedWith(&w.rows[0])
		}
		if w.op == conflict.OpDelete && w.isPassed(w.rows[0].model) {
			row.key = nil
		}
		w.writeNow()
		if row.key != nil || compared {
			w.room.condition = row
			conditions = append(conditions, &w.room.condition)
		}
	}
	if len(conditions) > 0 {
		c := w.own
		c.Name, c.Expression = "WHERE", clause.Where{Exprs: conditions}
		w.stmt.Clauses["WHERE"] = c
	}
}

// writeNow has a statement about rows in hand see them as they are, where they are newer than the transaction's snapshot: it
// finds them changed then, and is no error that ends the transaction.
func (w *write) writeNow() {
	settings := w.dialect.Settings(false)
	if settings == nil {
		return
	}
	w.keepClauses("UPDATE", "DELETE")
	for _, name := range []string{"UPDATE", "DELETE"} {
		c := w.stmt.Clauses[name]
		c.BeforeExpression = settings
		w.stmt.Clauses[name] = c
	}
}

// isPassed tells the model that was itself passed to a Delete, whose key GORM adds; it does not always add that of the
// statement's model.
func (w *write) isPassed(model reflect.Value) bool {
	passed := w.stmt.ReflectValue
	switch passed.Kind() {
	case reflect.Struct:
		return isSameModel(passed, model)
	case reflect.Slice, reflect.Array:
		for i := range passed.Len() {
			if isSameModel(indirect(passed.Index(i)), model) {
				return true
			}
		}
	}
	return false
}

func isSameModel(a, b reflect.Value) bool {
	return a.CanAddr() && b.CanAddr() && a.Addr().Pointer() == b.Addr().Pointer()
}

// group is conditions in parentheses. GORM puts some only where it sees an OR in the text.
type group struct{ conditions []clause.Expression }

func (g group) Build(builder clause.Builder) {
	_ = builder.WriteByte('(')
	clause.Where{Exprs: append([]clause.Expression(nil), g.conditions...)}.Build(builder)
	_ = builder.WriteByte(')')
}

// run has GORM build and send the statement.
func (w *write) run(set clause.Set, gormWrite func(*gorm.DB)) {
	if set != nil {
		w.room.set = setClause{stmt: w.stmt, set: set}
		w.stmt.Clauses["SET"] = clause.Clause{Name: "SET", Expression: &w.room.set}
	}
	gormWrite(w.db)
}

// check looks at what became of a compared statement: the next version in memory, or a refusal.
func (w *write) check() {
	switch {
	case w.db.DryRun:
	case w.db.Error != nil:
		w.checkError()
	case w.db.RowsAffected == 0 && w.isSaveOfNew(&w.rows[0]):
		w.insertBeforeAssociations()
	case w.db.RowsAffected == 0:
		w.refuse(nil)
	case w.op != conflict.OpDelete || w.wasSoftDelete():
		r := &w.rows[0]
		w.advance(r, r.next)
		w.learnBase(r)
	}
}

func (w *write) checkError() {
	if err := w.db.Error; w.dialect.IsConflict(err) {
		w.refuse(err)
	}
}

// wasSoftDelete tells whether GORM made an UPDATE of the DELETE: then there is something in SET.
func (w *write) wasSoftDelete() bool { return w.stmt.Clauses["SET"].Expression != nil }
