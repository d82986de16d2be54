package occ

import (
	"cmp"
	"errors"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// insertOrSkip is the upsert that does nothing where a row is there. Only models whose row was inserted get a version;
// which they are, GORM cannot tell of several, so the plugin finds out. Models that come along with their owner and are
// loaded already are linked, not written: inserting one would bring back a deleted row.
func (w *write) insertOrSkip() {
	w.isWhole = true
	candidates := w.candidates()
	if w.db.DryRun || len(candidates) == 0 {
		w.insert() // maps, or no write at all
		return
	}
	if w.isLinked {
		candidates = w.unloaded(candidates)
	}
	var inserted int64
	insert := func() (err error) {
		inserted, err = w.insertSkipping(candidates)
		return err
	}
	if w.model.version.byDatabase {
		w.within(insert) // what is read afterwards must not be what somebody else has written
	} else {
		_ = w.db.AddError(insert())
	}
	if w.db.Error == nil {
		w.db.RowsAffected = inserted
	}
}

// candidates are the models that an INSERT is about, with or without a key.
func (w *write) candidates() (rows []row) {
	_ = w.eachModel(func(index int, model reflect.Value) error {
		if model.Kind() == reflect.Struct && model.Type() == w.model.ModelType {
			r := row{index: index, model: model, key: w.keyOf(model), hasOwnKey: w.hasGivenKey(model)}
			if w.model.version != nil {
				r.before = w.model.version.of(w.ctx, model)
			}
			rows = append(rows, r)
		}
		return nil
	})
	return rows
}

// hasGivenKey tells whether a model has the part of its key that the database would generate.
func (w *write) hasGivenKey(model reflect.Value) bool {
	key := w.model.PrioritizedPrimaryField
	if key == nil {
		return true
	}
	_, isZero := key.ValueOf(w.ctx, model)
	return !isZero
}

func (w *write) unloaded(rows []row) (unloaded []row) {
	for _, r := range rows {
		if w.model.version.kind.isZero(r.before) {
			unloaded = append(unloaded, r)
		}
	}
	return unloaded
}

// errSkipped says that a row was there already.
var errSkipped = errors.New("occ: a row was there already")

// insertSkipping inserts the rows that are not there, in one statement where all are new. Where one was not, that is undone
// and the rows go one by one: no database says which of several it has skipped.
func (w *write) insertSkipping(rows []row) (inserted int64, err error) {
	if !w.dialect.ConflictTarget {
		if rows, err = w.missingNow(rows); err != nil { // a duplicate key would leave locks behind, and two of those deadlock
			return 0, err
		}
	}
	if len(rows) < 2 {
		return w.insertEach(rows)
	}
	err = w.plugin.atomically(w.db, func() error { return w.insertAll(rows) })
	if err == nil {
		return int64(len(rows)), nil
	}
	if !errors.Is(err, errSkipped) {
		return 0, err
	}
	missing, err := w.missingNow(rows)
	if err != nil {
		return 0, err
	}
	err = w.plugin.atomically(w.db, func() error {
		inserted, err = w.insertEach(missing)
		return err
	})
	return inserted, err
}

func (w *write) insertEach(rows []row) (inserted int64, err error) {
	for i := range rows {
		err := w.insertAll(rows[i : i+1])
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
func (w *write) insertAll(rows []row) error {
	firsts, err := w.firstVersions(rows)
	if err != nil {
		return err
	}
	conflict := w.stmt.Clauses["ON CONFLICT"]
	isPlain := !w.dialect.ConflictTarget || len(rows) > 1
	if isPlain {
		delete(w.stmt.Clauses, "ON CONFLICT")
		defer func() { w.stmt.Clauses["ON CONFLICT"] = conflict }()
	}
	for i, r := range rows {
		w.model.version.put(w.ctx, r.model, firsts[i])
	}
	affected, err := w.insertModels(rows)
	if w.isDuplicateKey(err) && isPlain || err == nil && affected < int64(len(rows)) {
		err = errSkipped
		w.stmt.Clauses["ON CONFLICT"] = conflict
		w.learnKey(rows)
	}
	for _, r := range rows {
		if err != nil {
			w.model.version.put(w.ctx, r.model, r.before)
		} else {
			w.remember(&r)
			w.note(r.model)
		}
	}
	if err == nil && (w.hasSnapshots() || w.model.version.byDatabase) {
		err = w.learnInserted(slices.Clone(rows))
	}
	return err
}

// learnKey has MySQL give a model the generated key of the row that was there: its DO NOTHING does, unlike others', and
// GORM goes on to link that row to its owner.
func (w *write) learnKey(rows []row) {
	if w.dialect.ConflictTarget || len(rows) > 1 || rows[0].key != nil {
		return
	}
	_, err := w.insertModels(rows)
	_ = w.db.AddError(err)
}

// firstVersions are the versions to insert: a preset one is kept, and the database makes its own.
func (w *write) firstVersions(rows []row) ([]any, error) {
	kind, firsts := w.model.version.kind, make([]any, len(rows))
	for i, r := range rows {
		firsts[i] = r.before
		if !kind.isZero(r.before) || w.model.version.byDatabase {
			continue
		}
		first, err := kind.next(w.ctx, nil)
		if err != nil {
			return nil, w.versionError(err)
		}
		firsts[i] = first
	}
	return firsts, nil
}

// insertModels has GORM insert some of the call's models.
func (w *write) insertModels(rows []row) (affected int64, err error) {
	w.withModels(rows, func() {
		if w.model.version.byDatabase {
			defer w.leaveOut(w.withoutVersions())()
		} else {
			defer w.selectVersion()()
		}
		w.plugin.gorm.create(w.db)
	})
	affected, err = w.db.RowsAffected, w.db.Error
	w.db.Error, w.db.RowsAffected = nil, 0
	return affected, err
}

// withModels has do see some of the call's models alone, so that the keys that the database generates land on them.
func (w *write) withModels(rows []row, do func()) {
	stmt := w.stmt
	target, dest := stmt.ReflectValue, stmt.Dest
	defer func() { stmt.ReflectValue, stmt.Dest = target, dest }()
	if len(rows) == 1 {
		stmt.ReflectValue, stmt.Dest = rows[0].model, rows[0].model.Addr().Interface()
	} else {
		models := reflect.New(reflect.SliceOf(reflect.PointerTo(w.model.ModelType)))
		for _, r := range rows {
			models.Elem().Set(reflect.Append(models.Elem(), r.model.Addr()))
		}
		stmt.ReflectValue, stmt.Dest = models.Elem(), models.Interface()
	}
	stmt.SQL.Reset()
	stmt.Vars = nil
	w.db.RowsAffected = 0
	do()
}

// missingNow are the missing rows, also those that the snapshot of the caller's transaction still shows though they have
// been deleted since. Only what it shows is looked for under a lock: one on what is not there would keep others from
// inserting it, and two of those deadlock.
func (w *write) missingNow(rows []row) (missing []row, err error) {
	missing, err = w.missing(w.snapshotSession(), rows)
	canBeOld := w.dialect.CurrentRead != nil && isTransaction(w.stmt.ConnPool) && !w.startedTransaction()
	if err != nil || !canBeOld || w.isLinked || len(missing) == len(rows) {
		return missing, err
	}
	shown := slices.DeleteFunc(slices.Clone(rows), func(r row) bool {
		return slices.ContainsFunc(missing, func(m row) bool { return m.index == r.index })
	})
	gone, err := w.missing(w.session(), shown)
	missing = append(missing, gone...)
	slices.SortFunc(missing, func(a, b row) int { return cmp.Compare(a.index, b.index) })
	return missing, err
}

// missing are the rows whose key is not there, and those that have none.
func (w *write) missing(session *gorm.DB, rows []row) (missing []row, err error) {
	there, err := w.stored(session, rows, nil)
	for _, r := range rows {
		if _, isThere := there[w.keyText(r.model, w.model.PrimaryFields)]; r.key == nil || !isThere {
			missing = append(missing, r)
		}
	}
	return missing, err
}

// stored reads the rows that are there, by key: the key and the given fields of each. What it is asked with decides
// whether the rows are locked.
func (w *site) stored(session *gorm.DB, rows []row, fields []*schema.Field) (map[string]reflect.Value, error) {
	identity := w.identityFields()
	keyed, columns := []*row{}, []clause.Column{}
	for i := range rows {
		if rows[i].key != nil {
			keyed = append(keyed, &rows[i])
		}
	}
	if len(keyed) > 0 {
		if err := w.lockFirst(); err != nil {
			return nil, err
		}
	}
	session = session.Session(&gorm.Session{})
	for _, field := range slices.Concat(identity, fields) {
		columns = append(columns, clause.Column{Table: clause.CurrentTable, Name: field.DBName})
	}
	stored := map[string]reflect.Value{}
	for part := range slices.Chunk(inKeyOrder(keyed), maxKeys) {
		found := reflect.New(reflect.SliceOf(w.model.ModelType))
		tx := w.withKeys(session.Clauses(clause.Select{Columns: columns}), part)
		tx.Statement.ConnPool = unprepared(tx.Statement.ConnPool)
		if err := tx.Find(found.Interface()).Error; err != nil {
			return nil, err
		}
		for i := range found.Elem().Len() {
			model := found.Elem().Index(i)
			stored[w.keyText(model, identity)] = model
		}
	}
	return stored, nil
}

// withKeys has a query read the rows that have the keys: by a list of them, or by a table of them where a list may lock
// more.
func (w *site) withKeys(tx *gorm.DB, rows []*row) *gorm.DB {
	if w.dialect.ValuesFirst() && len(rows) > 1 {
		columns := w.keyColumns()
		return w.fromValues(tx, w.split(columns, rows, 0)[0], columns)
	}
	keys, columns := make([]any, len(rows)), []clause.Column{}
	for i, r := range rows {
		keys[i] = r.key
	}
	for _, field := range w.identityFields() {
		columns = append(columns, clause.Column{Table: clause.CurrentTable, Name: field.DBName})
	}
	return tx.Where(clause.IN{Column: columns, Values: keys}).Clauses(clause.Where{Exprs: w.target})
}

// maxKeys is how many keys a query names at most; databases limit parameters.
const maxKeys = 1000
