package write

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/intent"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/session"
	"github.com/gorm-occ/occ/internal/value"
)

var errOneTable = errors.New("occ: models of several types, and a db with a Table of its own: pass the models of one type")

// TouchModels is Touch.
func (e *Engine) TouchModels(db *gorm.DB, models []any) error {
	return e.eachTable(db, models, func(tx *gorm.DB, t table) error {
		switch version := t.model.Version; {
		case version.PutImage != nil:
			return fmt.Errorf("occ: Touch of model %s: it has a Snapshot, and no version that could be written", t.model.Name)
		case version.ByDatabase:
			return t.plugin.Atomically(tx, func() error { return t.touchByDatabase(tx) })
		}
		return t.touch(tx)
	})
}

func (t table) touch(tx *gorm.DB) error {
	return tx.Clauses(&intent.Touch{Indexes: t.indexes}).Model(t.dest()).UpdateColumns(map[string]any{}).Error
}

// touchByDatabase makes sure that the database has written other versions: a trigger may mind only what is changed.
func (t table) touchByDatabase(tx *gorm.DB) error {
	version, ctx := t.model.Version, tx.Statement.Context
	before := make([]any, len(t.models))
	for i, model := range t.models {
		before[i] = version.Of(ctx, model)
	}
	if err := t.touch(tx.Session(&gorm.Session{SkipHooks: true})); err != nil {
		return err
	}
	for i, model := range t.models {
		if version.Kind.IsSame(before[i], version.Of(ctx, model)) {
			return fmt.Errorf("occ: model %s, field %s: the database writes no other version where nothing else changes: it cannot be touched", t.model.Name, version.Name)
		}
	}
	return nil
}

// VerifyModels is Verify.
func (e *Engine) VerifyModels(db *gorm.DB, models []any) error {
	return e.eachTable(db, models, func(tx *gorm.DB, t table) error {
		w := t.write(tx, conflict.OpVerify)
		if err := w.identify(value.Indirect(reflect.ValueOf(t.dest())), nil); err != nil {
			return err
		}
		w.verify()
		w.Report()
		return w.DB.Error
	})
}

// table is the models of one call that are in one table.
type table struct {
	plugin  *Engine
	model   *model.Model
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

// Call is a write that does not come through GORM's callbacks.
func (t table) write(tx *gorm.DB, op conflict.Op) *Call {
	tx = tx.Model(t.model.NewModel())
	stmt := tx.Statement
	_ = tx.AddError(stmt.Parse(stmt.Model))
	return &Call{
		Site:   rows.Site{DB: tx, Stmt: stmt, Ctx: stmt.Context, Model: t.model, Dialect: t.plugin.Dialect},
		Plugin: t.plugin, Op: op,
		switches: intent.Switches{Touch: &intent.Touch{Indexes: t.indexes}},
	}
}

// eachTable does something to models, table by table: to all of them or to none.
func (e *Engine) eachTable(db *gorm.DB, models []any, do func(*gorm.DB, table) error) error {
	tables, err := e.tablesOf(db, models)
	if err != nil || len(tables) == 0 {
		return err
	}
	if len(tables) > 1 && db.Statement.TableExpr != nil {
		return errOneTable
	}
	tx := session.NewCall(db)
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
	return e.Atomically(tx, each)
}

func (e *Engine) tablesOf(db *gorm.DB, models []any) (tables []table, err error) {
	index := 0
	for _, passed := range models {
		for _, model := range value.Elements(reflect.ValueOf(passed)) {
			if tables, err = e.addToTable(db, tables, model, index); err != nil {
				return nil, err
			}
			index++
		}
	}
	return tables, nil
}

func (e *Engine) addToTable(db *gorm.DB, tables []table, model reflect.Value, index int) ([]table, error) {
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
	m := e.ModelOfSchema(parsed.Schema)
	switch {
	case m.Err != nil:
		return nil, m.Err
	case m.Version == nil:
		return nil, fmt.Errorf("occ: model %s has no version", m.Name)
	case (&rows.Site{Model: m, Ctx: db.Statement.Context}).KeyOf(model) == nil:
		return nil, fmt.Errorf("occ: model %d, a %s, has no primary key: %w", index, m.Name, gorm.ErrPrimaryKeyRequired)
	}
	at := slices.IndexFunc(tables, func(t table) bool { return t.model == m })
	if at < 0 {
		at, tables = len(tables), append(tables, table{plugin: e, model: m})
	}
	tables[at].models = append(tables[at].models, model)
	tables[at].indexes = append(tables[at].indexes, index)
	return tables, nil
}

// touching runs a write of children and then writes the next version of their parents: of those that they had before, and
// of those that they have now.
func (c *Call) touching(set clause.Set, write func()) {
	if len(c.Model.Touches) == 0 || c.DB.DryRun {
		write()
		return
	}
	before, err := c.children()
	if err == nil {
		err = c.lockParents()
	}
	if c.DB.AddError(err) != nil {
		return
	}
	write()
	if c.DB.Error != nil || c.DB.RowsAffected == 0 {
		return
	}
	affected := c.DB.RowsAffected
	for _, relation := range c.Model.Touches {
		after, err := c.childrenAfter(relation, set, before)
		if err == nil {
			err = c.touchParents(relation, append(slices.Clone(before), after...))
		}
		if c.DB.AddError(err) != nil {
			break
		}
	}
	c.DB.RowsAffected = affected
}

// children reads the keys of the rows that the write is about, and of their parents.
func (c *Call) children() ([]reflect.Value, error) {
	if c.Op == conflict.OpUpsert {
		return c.childrenInConflict()
	}
	if len(c.rows) > 0 {
		return c.childrenByKey(c.rows)
	}
	if err := c.LockFirst(); err != nil {
		return nil, err
	}
	tx := c.Session()
	tx.Statement.Unscoped = c.Stmt.Unscoped
	if own, ok := c.Own.Expression.(clause.Where); ok {
		tx = tx.Clauses(clause.Where{Exprs: []clause.Expression{clauses.Group{Conditions: own.Exprs}}})
	}
	if from, ok := c.Stmt.Clauses["FROM"].Expression.(clause.From); ok && c.Op != conflict.OpDelete {
		tx = tx.Clauses(alsoFrom(from))
	}
	return c.find(tx)
}

// childrenInConflict are the rows that an upsert may be about to move from one parent to another.
func (c *Call) childrenInConflict() ([]reflect.Value, error) {
	conflict, ok := c.Stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	if !ok || conflict.DoNothing {
		return nil, nil
	}
	if err := c.setTarget(conflict); err != nil {
		return nil, err
	}
	defer func() { c.Lookup = rows.Lookup{Own: c.Own} }()
	return c.childrenByKey(c.candidates())
}

func (c *Call) childrenByKey(rows []rows.Row) (children []reflect.Value, err error) {
	stored, err := c.Stored(c.Session(), rows, c.foreignKeys())
	for _, child := range stored {
		children = append(children, child)
	}
	return children, err
}

func (c *Call) foreignKeys() (fields []*schema.Field) {
	for _, relation := range c.Model.Touches {
		for _, reference := range relation.References {
			fields = append(fields, reference.ForeignKey)
		}
	}
	return fields
}

func (c *Call) find(tx *gorm.DB) (children []reflect.Value, err error) {
	var columns []clause.Column
	for _, field := range slices.Concat(c.Model.PrimaryFields, c.foreignKeys()) {
		columns = append(columns, clause.Column{Table: clause.CurrentTable, Name: field.DBName})
	}
	found := reflect.New(reflect.SliceOf(c.Model.ModelType))
	err = tx.Clauses(clause.Select{Columns: columns}).Find(found.Interface()).Error
	for i := range found.Elem().Len() {
		children = append(children, found.Elem().Index(i))
	}
	return children, err
}

// childrenAfter are the children as they are now, where the write may have given them another parent.
func (c *Call) childrenAfter(relation *schema.Relationship, set clause.Set, before []reflect.Value) (after []reflect.Value, err error) {
	if c.Op == conflict.OpUpsert {
		return c.created(relation), nil
	}
	moves := slices.ContainsFunc(set, func(assignment clause.Assignment) bool {
		field := c.Model.LookUpField(assignment.Column.Name)
		return field != nil && slices.ContainsFunc(relation.References, func(r *schema.Reference) bool { return r.ForeignKey == field })
	})
	if !moves {
		return nil, nil
	}
	hand := make([]rows.Row, len(before))
	for i, child := range before {
		hand[i] = rows.Row{Model: child, Key: c.KeyOf(child)}
	}
	return c.childrenByKey(hand)
}

// created are the models of a Create; of a map, a model that has its foreign key.
func (c *Call) created(relation *schema.Relationship) (models []reflect.Value) {
	switch dest := c.givenMaps().(type) {
	case map[string]any:
		return []reflect.Value{c.childOfMap(relation, dest)}
	case []map[string]any:
		for _, values := range dest {
			models = append(models, c.childOfMap(relation, values))
		}
		return models
	}
	for _, r := range c.candidates() {
		models = append(models, r.Model)
	}
	return models
}

func (c *Call) childOfMap(relation *schema.Relationship, values map[string]any) reflect.Value {
	model := reflect.New(c.Model.ModelType).Elem()
	for _, reference := range relation.References {
		for name, value := range values {
			if field := c.Model.LookUpField(name); field == reference.ForeignKey && !clauses.IsExpression(value) {
				_ = c.DB.AddError(field.Set(c.Ctx, model, value))
			}
		}
	}
	return model
}

// touchParents writes the next version of the parents of children, each once. A parent that comes along with its child and
// is loaded is compared and learns the version. Rows that the same call writes or deletes by itself are not touched.
func (c *Call) touchParents(relation *schema.Relationship, children []reflect.Value) error {
	parents := c.parentsOf(relation, children)
	loaded := c.loadedParents(relation, parents)
	for _, key := range parents {
		c.note(c.parentModel(relation, key))
	}
	tx := session.Inherit(c.DB.Session(&gorm.Session{NewDB: true, SkipHooks: true, Initialized: true}), c.Stmt).Session(&gorm.Session{})
	if loaded.Elem().Len() > 0 {
		if err := touchLoaded(tx, loaded); err != nil {
			return err
		}
	}
	columns := model.ReferencedColumns(relation)
	for part := range slices.Chunk(keysInOrder(parents), rows.MaxKeys) {
		err := tx.Clauses(&intent.Touch{}).Model(reflect.New(relation.FieldSchema.ModelType).Interface()).
			Where(clause.IN{Column: columns, Values: part}).UpdateColumns(map[string]any{}).Error
		if err != nil {
			return err
		}
	}
	return nil
}

// parentModel is a model that has what children refer to of their parent.
func (c *Call) parentModel(relation *schema.Relationship, key []any) reflect.Value {
	parent := reflect.New(relation.FieldSchema.ModelType).Elem()
	for i, reference := range relation.References {
		_ = c.DB.AddError(reference.PrimaryKey.Set(c.Ctx, parent, key[i]))
	}
	return parent
}

func touchLoaded(tx *gorm.DB, parents reflect.Value) error {
	dest := parents.Interface()
	if parents.Elem().Len() == 1 {
		dest = parents.Elem().Index(0).Interface()
	}
	return tx.Clauses(&intent.Touch{}).Model(dest).UpdateColumns(map[string]any{}).Error
}

// parentsOf are the keys of the parents of children, less those that the call has written already or is going to delete.
// They are noted as written.
func (c *Call) parentsOf(relation *schema.Relationship, children []reflect.Value) map[string][]any {
	parents, written := map[string][]any{}, c.writtenKeys(relation)
	for _, child := range children {
		key, isSet := make([]any, len(relation.References)), true
		for i, reference := range relation.References {
			value, isZero := reference.ForeignKey.ValueOf(c.Ctx, child)
			key[i], isSet = value, isSet && !isZero
		}
		if text := value.KeyText(key); isSet && !written[text] {
			parents[text] = key
		}
	}
	return parents
}

// writtenKeys are the keys of the parents that the call that is under way has written, or is going to delete.
func (c *Call) writtenKeys(relation *schema.Relationship) map[string]bool {
	keys := map[string]bool{}
	if j := c.Plugin.Journals.Of(c.Stmt.ConnPool); j != nil {
		for _, written := range j.Written[relation.FieldSchema.ModelType] {
			keys[value.KeyText(c.referenced(relation, written))] = true
		}
	}
	return keys
}

// loadedParents are the models of parents, loaded, that came along with their children; they are taken out of parents.
func (c *Call) loadedParents(relation *schema.Relationship, parents map[string][]any) reflect.Value {
	loaded := reflect.New(reflect.SliceOf(reflect.PointerTo(relation.FieldSchema.ModelType)))
	version, found := c.Plugin.ModelOfSchema(relation.FieldSchema).Version, map[string]bool{}
	_ = c.eachModel(func(_ int, child reflect.Value) error {
		if child.Kind() != reflect.Struct || child.Type() != c.Model.ModelType {
			return nil
		}
		parent := value.Indirect(relation.Field.ReflectValueOf(c.Ctx, child))
		if !parent.IsValid() || !parent.CanAddr() || version.Kind.IsZero(version.Of(c.Ctx, parent)) {
			return nil
		}
		text := value.KeyText(c.referenced(relation, parent))
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

func (c *Call) referenced(relation *schema.Relationship, parent reflect.Value) []any {
	key := make([]any, len(relation.References))
	for i, reference := range relation.References {
		key[i], _ = reference.PrimaryKey.ValueOf(c.Ctx, parent)
	}
	return key
}
