package occ

import (
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/conflict"
)

// Touch writes the next version of rows and nothing else, timestamps included: whoever holds an older copy is refused from
// then on. It is for a row that stands for others that were read or written with it, as JPA's
// LockModeType.OPTIMISTIC_FORCE_INCREMENT.
//
// Models are pointers to structs, or slices of structs or of pointers, with their keys and versions; they may be of several
// types. Each is compared with its own version and has the next one afterwards. All rows are written or none; one that is
// not current fails the call with a [*StaleDataError] of [OpTouch], whose Index counts the models in the order they were
// passed. A model that is nil, has no key, or is of a type without a version is an error; so is one whose version the
// database writes, if it does not do so for an UPDATE that changes nothing. It sends one UPDATE for each table; hooks do
// not run. With no models it does nothing. The table, scopes and settings of db hold, and the database that
// gorm.io/plugin/dbresolver is to use; a table is for models of one type.
func Touch(db *gorm.DB, models ...any) error {
	e, err := engineOf(db)
	if err != nil {
		return err
	}
	return e.touchModels(db, models)
}

// touchModels is Touch.
func (p *engine) touchModels(db *gorm.DB, models []any) error {
	return p.eachTable(db, models, func(tx *gorm.DB, t table) error {
		switch version := t.model.version; {
		case version.putImage != nil:
			return fmt.Errorf("occ: Touch of model %s: it has a Snapshot, and no version that could be written", t.model.Name)
		case version.byDatabase:
			return t.plugin.atomically(tx, func() error { return t.touchByDatabase(tx) })
		}
		return t.touch(tx)
	})
}

func (t table) touch(tx *gorm.DB) error {
	return tx.Clauses(&touch{indexes: t.indexes}).Model(t.dest()).UpdateColumns(map[string]any{}).Error
}

// touchByDatabase makes sure that the database has written other versions: a trigger may mind only what is changed.
func (t table) touchByDatabase(tx *gorm.DB) error {
	version, ctx := t.model.version, tx.Statement.Context
	before := make([]any, len(t.models))
	for i, model := range t.models {
		before[i] = version.of(ctx, model)
	}
	if err := t.touch(tx.Session(&gorm.Session{SkipHooks: true})); err != nil {
		return err
	}
	for i, model := range t.models {
		if version.kind.isSame(before[i], version.of(ctx, model)) {
			return fmt.Errorf("occ: model %s, field %s: the database writes no other version where nothing else changes: it cannot be touched", t.model.Name, version.Name)
		}
	}
	return nil
}

// Verify compares rows with the versions of models and writes nothing. In a transaction it holds the rows with a share lock
// until the end, where the dialect has one (PostgreSQL, MySQL, MariaDB), so that what was decided on them stays true;
// outside of a transaction, and on SQLite, it only looks. It is JPA's LockModeType.OPTIMISTIC.
//
// Models are as for [Touch]. A row that is not current fails the call with a [*StaleDataError] of [OpVerify]. It sends one
// SELECT for each table.
func Verify(db *gorm.DB, models ...any) error {
	e, err := engineOf(db)
	if err != nil {
		return err
	}
	return e.verifyModels(db, models)
}

// verifyModels is Verify.
func (p *engine) verifyModels(db *gorm.DB, models []any) error {
	return p.eachTable(db, models, func(tx *gorm.DB, t table) error {
		w := t.write(tx, conflict.OpVerify)
		if err := w.identify(indirect(reflect.ValueOf(t.dest())), nil); err != nil {
			return err
		}
		w.verify()
		w.report()
		return w.db.Error
	})
}

func (w *write) verify() {
	w.counters().checked.Add(1)
	rows := w.pointers()
	lock := clause.LockingStrengthShare
	if !isTransaction(w.stmt.ConnPool) {
		lock = "" // it would end with the statement, and those that may only read must not ask for it
	}
	states, err := w.readRows(rows, lock)
	if err != nil {
		w.failRows(rows, err)
	} else if !w.areCurrent(rows, states) {
		w.refuseRows(rows, states, nil)
	}
}

// touch is the switch of a write that sets the version alone. It travels in the statement's clauses.
type touch struct {
	indexes []int // of the models among those of the call; nil if they are the same
}

const touchClause = "occ:touch"

func (t *touch) ModifyStatement(stmt *gorm.Statement) {
	stmt.Clauses[touchClause] = clause.Clause{Expression: t}
}

// Build writes nothing: the write that finds the switch acts on it.
func (*touch) Build(clause.Builder) {}

func (t *touch) indexOf(i int) int {
	if t == nil || i >= len(t.indexes) {
		return i
	}
	return t.indexes[i]
}

// table is the models of one call that are in one table.
type table struct {
	plugin  *engine
	model   *model
	models  []reflect.Value // structs
	indexes []int
}

// dest is the models as GORM takes them: one alone needs no slice.
func (t table) dest() any {
	if len(t.models) == 1 {
		return t.models[0].Addr().Interface()
	}
	dest := reflect.New(reflect.SliceOf(reflect.PointerTo(t.model.ModelType)))
	for _, model := range t.models {
		dest.Elem().Set(reflect.Append(dest.Elem(), model.Addr()))
	}
	return dest.Interface()
}

// write is a write that does not come through GORM's callbacks.
func (t table) write(tx *gorm.DB, op conflict.Op) *write {
	tx = tx.Model(t.model.newModel())
	stmt := tx.Statement
	_ = tx.AddError(stmt.Parse(stmt.Model))
	return &write{
		site:   site{db: tx, stmt: stmt, ctx: stmt.Context, model: t.model, dialect: t.plugin.dialect},
		plugin: t.plugin, op: op,
		switches: switches{touch: &touch{indexes: t.indexes}},
	}
}

// eachTable does something to models, table by table: to all of them or to none.
func (p *engine) eachTable(db *gorm.DB, models []any, do func(*gorm.DB, table) error) error {
	tables, err := p.tablesOf(db, models)
	if err != nil || len(tables) == 0 {
		return err
	}
	if len(tables) > 1 && db.Statement.TableExpr != nil {
		return errOneTable
	}
	tx := newCall(db)
	each := func() error {
		for _, t := range tables {
			if err := do(tx.Session(&gorm.Session{SkipHooks: true}), t); err != nil {
				return err
			}
		}
		return nil
	}
	if len(tables) == 1 {
		return each()
	}
	return p.atomically(tx, each)
}

func (p *engine) tablesOf(db *gorm.DB, models []any) (tables []table, err error) {
	index := 0
	for _, passed := range models {
		for _, model := range elements(reflect.ValueOf(passed)) {
			if tables, err = p.addToTable(db, tables, model, index); err != nil {
				return nil, err
			}
			index++
		}
	}
	return tables, nil
}

// elements are the structs that a pointer leads to, or the elements of a slice do.
func elements(passed reflect.Value) []reflect.Value {
	target := indirect(passed)
	if target.Kind() != reflect.Slice && target.Kind() != reflect.Array {
		return []reflect.Value{target}
	}
	models := make([]reflect.Value, target.Len())
	for i := range models {
		models[i] = indirect(target.Index(i))
	}
	return models
}

func (p *engine) addToTable(db *gorm.DB, tables []table, model reflect.Value, index int) ([]table, error) {
	if !model.IsValid() {
		return nil, fmt.Errorf("occ: model %d is nil: %w", index, gorm.ErrInvalidValue)
	}
	if model.Kind() != reflect.Struct || !model.CanAddr() {
		return nil, fmt.Errorf("occ: model %d is a %s: pass a pointer to a struct or a slice of them: %w", index, model.Type(), gorm.ErrInvalidValue)
	}
	parsed := &gorm.Statement{DB: db}
	if err := parsed.Parse(model.Addr().Interface()); err != nil {
		return nil, fmt.Errorf("occ: model %d: %w", index, err)
	}
	m := p.modelOfSchema(parsed.Schema)
	switch {
	case m.err != nil:
		return nil, m.err
	case m.version == nil:
		return nil, fmt.Errorf("occ: model %s has no version", m.Name)
	case (&site{model: m, ctx: db.Statement.Context}).keyOf(model) == nil:
		return nil, fmt.Errorf("occ: model %d, a %s, has no primary key: %w", index, m.Name, gorm.ErrPrimaryKeyRequired)
	}
	at := slices.IndexFunc(tables, func(t table) bool { return t.model == m })
	if at < 0 {
		at, tables = len(tables), append(tables, table{plugin: p, model: m})
	}
	tables[at].models = append(tables[at].models, model)
	tables[at].indexes = append(tables[at].indexes, index)
	return tables, nil
}

const touchTag = "TOUCH"

// findTouches finds the parents of a schema whose versions advance with it.
func (p *models) findTouches(s *schema.Schema) (touches []*schema.Relationship, err error) {
	for _, field := range s.Fields {
		if _, tagged := field.TagSettings[touchTag]; !tagged {
			continue
		}
		at := slices.IndexFunc(s.Relationships.BelongsTo, func(r *schema.Relationship) bool { return r.Field == field })
		if at < 0 {
			return nil, fmt.Errorf("occ: model %s, field %s: touch is for a belongs-to association", s.Name, field.Name)
		}
		relation := s.Relationships.BelongsTo[at]
		version, err := p.versionOf(relation.FieldSchema)
		if err == nil && version == nil {
			err = fmt.Errorf("occ: model %s, field %s: touch needs a version, and %s has none", s.Name, field.Name, relation.FieldSchema.Name)
		}
		if err != nil {
			return nil, err
		}
		touches = append(touches, relation)
	}
	return touches, nil
}

// touching runs a write of children and then writes the next version of their parents: of those that they had before, and
// of those that they have now.
func (w *write) touching(set clause.Set, write func()) {
	if len(w.model.touches) == 0 || w.db.DryRun {
		write()
		return
	}
	before, err := w.children()
	if err == nil {
		err = w.lockParents()
	}
	if w.db.AddError(err) != nil {
		return
	}
	write()
	if w.db.Error != nil || w.db.RowsAffected == 0 {
		return
	}
	affected := w.db.RowsAffected
	for _, relation := range w.model.touches {
		after, err := w.childrenAfter(relation, set, before)
		if err == nil {
			err = w.touchParents(relation, append(slices.Clone(before), after...))
		}
		if w.db.AddError(err) != nil {
			break
		}
	}
	w.db.RowsAffected = affected
}

// children reads the keys of the rows that the write is about, and of their parents.
func (w *write) children() ([]reflect.Value, error) {
	if w.op == conflict.OpUpsert {
		return w.childrenInConflict()
	}
	if len(w.rows) > 0 {
		return w.childrenByKey(w.rows)
	}
	if err := w.lockFirst(); err != nil {
		return nil, err
	}
	tx := w.session()
	tx.Statement.Unscoped = w.stmt.Unscoped
	if own, ok := w.own.Expression.(clause.Where); ok {
		tx = tx.Clauses(clause.Where{Exprs: []clause.Expression{group{own.Exprs}}})
	}
	if from, ok := w.stmt.Clauses["FROM"].Expression.(clause.From); ok && w.op != conflict.OpDelete {
		tx = tx.Clauses(alsoFrom(from))
	}
	return w.find(tx)
}

// childrenInConflict are the rows that an upsert may be about to move from one parent to another.
func (w *write) childrenInConflict() ([]reflect.Value, error) {
	conflict, ok := w.stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	if !ok || conflict.DoNothing {
		return nil, nil
	}
	if err := w.setTarget(conflict); err != nil {
		return nil, err
	}
	defer func() { w.lookup = lookup{own: w.own} }()
	return w.childrenByKey(w.candidates())
}

func (w *write) childrenByKey(rows []row) (children []reflect.Value, err error) {
	stored, err := w.stored(w.session(), rows, w.foreignKeys())
	for _, child := range stored {
		children = append(children, child)
	}
	return children, err
}

func (w *write) foreignKeys() (fields []*schema.Field) {
	for _, relation := range w.model.touches {
		for _, reference := range relation.References {
			fields = append(fields, reference.ForeignKey)
		}
	}
	return fields
}

func (w *write) find(tx *gorm.DB) (children []reflect.Value, err error) {
	var columns []clause.Column
	for _, field := range slices.Concat(w.model.PrimaryFields, w.foreignKeys()) {
		columns = append(columns, clause.Column{Table: clause.CurrentTable, Name: field.DBName})
	}
	found := reflect.New(reflect.SliceOf(w.model.ModelType))
	err = tx.Clauses(clause.Select{Columns: columns}).Find(found.Interface()).Error
	for i := range found.Elem().Len() {
		children = append(children, found.Elem().Index(i))
	}
	return children, err
}

// childrenAfter are the children as they are now, where the write may have given them another parent.
func (w *write) childrenAfter(relation *schema.Relationship, set clause.Set, before []reflect.Value) (after []reflect.Value, err error) {
	if w.op == conflict.OpUpsert {
		return w.created(relation), nil
	}
	moves := slices.ContainsFunc(set, func(assignment clause.Assignment) bool {
		field := w.model.LookUpField(assignment.Column.Name)
		return field != nil && slices.ContainsFunc(relation.References, func(r *schema.Reference) bool { return r.ForeignKey == field })
	})
	if !moves {
		return nil, nil
	}
	rows := make([]row, len(before))
	for i, child := range before {
		rows[i] = row{model: child, key: w.keyOf(child)}
	}
	return w.childrenByKey(rows)
}

// created are the models of a Create; of a map, a model that has its foreign key.
func (w *write) created(relation *schema.Relationship) (models []reflect.Value) {
	switch dest := w.givenMaps().(type) {
	case map[string]any:
		return []reflect.Value{w.childOfMap(relation, dest)}
	case []map[string]any:
		for _, values := range dest {
			models = append(models, w.childOfMap(relation, values))
		}
		return models
	}
	for _, r := range w.candidates() {
		models = append(models, r.model)
	}
	return models
}

func (w *write) childOfMap(relation *schema.Relationship, values map[string]any) reflect.Value {
	model := reflect.New(w.model.ModelType).Elem()
	for _, reference := range relation.References {
		for name, value := range values {
			if field := w.model.LookUpField(name); field == reference.ForeignKey && !isExpression(value) {
				_ = w.db.AddError(field.Set(w.ctx, model, value))
			}
		}
	}
	return model
}

// touchParents writes the next version of the parents of children, each once. A parent that comes along with its child and
// is loaded is compared and learns the version. Rows that the same call writes or deletes by itself are not touched.
func (w *write) touchParents(relation *schema.Relationship, children []reflect.Value) error {
	parents := w.parentsOf(relation, children)
	loaded := w.loadedParents(relation, parents)
	for _, key := range parents {
		w.note(w.parentModel(relation, key))
	}
	tx := inherit(w.db.Session(&gorm.Session{NewDB: true, SkipHooks: true, Initialized: true}), w.stmt).Session(&gorm.Session{})
	if loaded.Elem().Len() > 0 {
		if err := touchLoaded(tx, loaded); err != nil {
			return err
		}
	}
	columns := referencedColumns(relation)
	for part := range slices.Chunk(keysInOrder(parents), maxKeys) {
		err := tx.Clauses(&touch{}).Model(reflect.New(relation.FieldSchema.ModelType).Interface()).
			Where(clause.IN{Column: columns, Values: part}).UpdateColumns(map[string]any{}).Error
		if err != nil {
			return err
		}
	}
	return nil
}

// parentModel is a model that has what children refer to of their parent.
func (w *write) parentModel(relation *schema.Relationship, key []any) reflect.Value {
	parent := reflect.New(relation.FieldSchema.ModelType).Elem()
	for i, reference := range relation.References {
		_ = w.db.AddError(reference.PrimaryKey.Set(w.ctx, parent, key[i]))
	}
	return parent
}

func touchLoaded(tx *gorm.DB, parents reflect.Value) error {
	dest := parents.Interface()
	if parents.Elem().Len() == 1 {
		dest = parents.Elem().Index(0).Interface()
	}
	return tx.Clauses(&touch{}).Model(dest).UpdateColumns(map[string]any{}).Error
}

// parentsOf are the keys of the parents of children, less those that the call has written already or is going to delete.
// They are noted as written.
func (w *write) parentsOf(relation *schema.Relationship, children []reflect.Value) map[string][]any {
	parents, written := map[string][]any{}, w.writtenKeys(relation)
	for _, child := range children {
		key, isSet := make([]any, len(relation.References)), true
		for i, reference := range relation.References {
			value, isZero := reference.ForeignKey.ValueOf(w.ctx, child)
			key[i], isSet = value, isSet && !isZero
		}
		if text := keyText(key); isSet && !written[text] {
			parents[text] = key
		}
	}
	return parents
}

// writtenKeys are the keys of the parents that the call that is under way has written, or is going to delete.
func (w *write) writtenKeys(relation *schema.Relationship) map[string]bool {
	keys := map[string]bool{}
	if j := w.plugin.journals.of(w.stmt.ConnPool); j != nil {
		for _, written := range j.written[relation.FieldSchema.ModelType] {
			keys[keyText(w.referenced(relation, written))] = true
		}
	}
	return keys
}

// note keeps a model that the call has written, or is going to delete, from being touched too.
func (w *write) note(model reflect.Value) {
	if j := w.plugin.journals.of(w.stmt.ConnPool); j != nil && j.calls > 0 {
		j.note(model)
	}
}

// loadedParents are the models of parents, loaded, that came along with their children; they are taken out of parents.
func (w *write) loadedParents(relation *schema.Relationship, parents map[string][]any) reflect.Value {
	loaded := reflect.New(reflect.SliceOf(reflect.PointerTo(relation.FieldSchema.ModelType)))
	version, found := w.plugin.modelOfSchema(relation.FieldSchema).version, map[string]bool{}
	_ = w.eachModel(func(_ int, child reflect.Value) error {
		if child.Kind() != reflect.Struct || child.Type() != w.model.ModelType {
			return nil
		}
		parent := indirect(relation.Field.ReflectValueOf(w.ctx, child))
		if !parent.IsValid() || !parent.CanAddr() || version.kind.isZero(version.of(w.ctx, parent)) {
			return nil
		}
		text := keyText(w.referenced(relation, parent))
		if _, isParent := parents[text]; isParent {
			found[text] = true
			loaded.Elem().Set(reflect.Append(loaded.Elem(), parent.Addr()))
		}
		return nil
	})
	for text := range found {
		delete(parents, text)
	}
	return loaded
}

func (w *write) referenced(relation *schema.Relationship, parent reflect.Value) []any {
	key := make([]any, len(relation.References))
	for i, reference := range relation.References {
		key[i], _ = reference.PrimaryKey.ValueOf(w.ctx, parent)
	}
	return key
}
