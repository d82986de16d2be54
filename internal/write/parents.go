package write

import (
	"maps"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/intent"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/session"
	"github.com/gorm-occ/occ/internal/value"
)

// touching runs a write of children and then writes the next version of their parents: of those that they had before, and
// of those that they have now.
func (p *plan) touching(set clause.Set, write func() (int64, error)) (int64, error) {
	if len(p.Model.Touches) == 0 || p.DB.DryRun {
		return write()
	}
	before, err := p.children()
	if err == nil {
		err = p.lockParents()
	}
	if err != nil {
		return 0, err
	}
	affected, err := write()
	if err != nil || affected == 0 {
		return 0, err
	}
	for _, relation := range p.Model.Touches {
		after, err := p.childrenAfter(relation, set, before)
		if err == nil {
			err = p.touchParents(relation, append(slices.Clone(before), after...))
		}
		if err != nil {
			return 0, err
		}
	}
	return affected, nil
}

// children reads the keys of the rows that the write is about, and of their parents.
func (p *plan) children() ([]reflect.Value, error) {
	if p.isCreate() {
		return p.childrenInConflict()
	}
	if len(p.rows) > 0 {
		return p.childrenByKey(p.by, p.pointers())
	}
	if err := p.LockFirst(); err != nil {
		return nil, err
	}
	states, err := p.ReadMatching(p.matching(), p.foreignKeys()...)
	return there(states), err
}

// childrenInConflict returns the rows that an upsert may be about to move from one parent to another.
func (c *Call) childrenInConflict() ([]reflect.Value, error) {
	conflict, ok := c.Stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	if !ok || conflict.DoNothing {
		return nil, nil
	}
	by, err := c.target(conflict)
	if err != nil {
		return nil, err
	}
	hand := c.candidates()
	for i := range hand {
		hand[i].Key = c.KeyBy(by.Fields(c.Model), hand[i].Model)
	}
	return c.childrenByKey(by, pointersTo(hand))
}

func (c *Call) childrenByKey(by rows.Lookup, hand []*rows.Row) ([]reflect.Value, error) {
	hand = keyed(hand)
	if len(hand) == 0 {
		return nil, nil
	}
	if err := c.LockFirst(); err != nil {
		return nil, err
	}
	by.Own = clause.Clause{} // whatever the conditions say: the row is the child
	states, err := c.ReadRows(rows.Query{Lookup: by, Fields: c.foreignKeys()}, hand)
	return there(states), err
}

// there returns the models of the rows that are there.
func there(states []rows.State) (models []reflect.Value) {
	for _, state := range states {
		if state.IsThere {
			models = append(models, state.Model)
		}
	}
	return models
}

func (c *Call) foreignKeys() (fields []*schema.Field) {
	for _, relation := range c.Model.Touches {
		for _, reference := range relation.References {
			fields = append(fields, reference.ForeignKey)
		}
	}
	return fields
}

// childrenAfter returns the children as they are now, where the write may have given them another parent.
func (c *Call) childrenAfter(relation *schema.Relationship, set clause.Set, before []reflect.Value) (after []reflect.Value, err error) {
	if c.isCreate() {
		return c.created(relation)
	}
	moves := slices.ContainsFunc(set, func(assignment clause.Assignment) bool {
		field := c.Model.LookUpField(assignment.Column.Name)
		return field != nil && slices.ContainsFunc(relation.References, func(r *schema.Reference) bool { return r.ForeignKey == field })
	})
	if !moves {
		return nil, nil
	}
	hand := make([]*rows.Row, len(before))
	for i, child := range before {
		hand[i] = &rows.Row{Model: child, Key: c.AllKeys(child)}
	}
	return c.childrenByKey(rows.Lookup{}, hand)
}

// created returns the models of a Create; of a map, a model that has its foreign key.
func (c *Call) created(relation *schema.Relationship) (models []reflect.Value, err error) {
	given := []map[string]any{}
	switch dest := c.givenMaps().(type) {
	case map[string]any:
		given = append(given, dest)
	case []map[string]any:
		given = dest
	default:
		return modelsOf(c.candidates()), nil
	}
	for _, values := range given {
		child, err := c.childOfMap(relation, values)
		if err != nil {
			return nil, err
		}
		models = append(models, child)
	}
	return models, nil
}

func (c *Call) childOfMap(relation *schema.Relationship, values map[string]any) (reflect.Value, error) {
	model := reflect.New(c.Model.ModelType).Elem()
	for _, reference := range relation.References {
		for name, value := range values {
			if field := c.Model.LookUpField(name); field == reference.ForeignKey && !clauses.IsExpression(value) {
				if err := field.Set(c.Ctx, model, value); err != nil {
					return model, err
				}
			}
		}
	}
	return model, nil
}

// touchParents writes the next version of the parents of children, each once. A parent that comes along with its child and
// is loaded is compared and learns the version. Rows that the same call writes or deletes by itself are not touched.
func (c *Call) touchParents(relation *schema.Relationship, children []reflect.Value) error {
	parents := c.parentsOf(relation, children)
	loaded := c.loadedParents(relation, parents)
	for _, key := range parents {
		parent, err := c.parentModel(relation, key)
		if err != nil {
			return err
		}
		c.note(parent)
	}
	tx := session.Inherit(c.DB.Session(&gorm.Session{NewDB: true, SkipHooks: true, Initialized: true}), c.Stmt).Session(&gorm.Session{})
	if loaded.Elem().Len() > 0 {
		if err := touchLoaded(tx, loaded); err != nil {
			return err
		}
	}
	return c.eachPart(relation, parents, func(find findParents) error {
		return find(tx.Clauses(&intent.Touch{}).Model(reflect.New(relation.FieldSchema.ModelType).Interface())).
			UpdateColumns(map[string]any{}).Error
	})
}

// findParents gives a statement the conditions by which it finds parents.
type findParents = func(tx *gorm.DB) *gorm.DB

// eachPart sends statements about parents, each about some of them. One fails where the index that it asks for has been dropped.
func (c *Call) eachPart(relation *schema.Relationship, parents map[string][]any, send func(find findParents) error) error {
	site, by := c.siteOf(relation)
	columns := model.ReferencedColumns(relation)
	for part := range slices.Chunk(keysInOrder(parents), rows.MaxKeys) {
		find := func(tx *gorm.DB) *gorm.DB {
			tx = tx.Where(c.haveKeys(columns, part))
			if index := site.ByIndex(&by); index != nil && len(part) > 1 {
				return tx.Clauses(clauses.ByIndex{Index: index})
			}
			return tx
		}
		err := send(find)
		if site.ForgetIndexes(err) {
			err = send(find)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// haveKeys is the condition that rows have one of several keys. MariaDB finds no rows by an index for a list of keys of several parts.
func (c *Call) haveKeys(columns []clause.Column, keys []any) clause.Expression {
	if len(columns) == 1 || !c.Dialect.ValuesFirst {
		return clause.IN{Column: columns, Values: keys}
	}
	anyOf := clauses.AnyOf{}
	for _, key := range keys {
		same := make([]clause.Expression, len(columns))
		for i, part := range key.([]any) {
			same[i] = clause.Eq{Column: columns[i], Value: part}
		}
		anyOf = append(anyOf, clause.And(same...))
	}
	return anyOf
}

// siteOf is where statements about parents work, and how they find them.
func (c *Call) siteOf(relation *schema.Relationship) (*rows.Site, rows.Lookup) {
	m, by := c.Plugin.ModelOfSchema(relation.FieldSchema), rows.Lookup{}
	for _, reference := range relation.References {
		by.Identity = append(by.Identity, reference.PrimaryKey)
	}
	tx := session.Inherit(c.DB.Session(&gorm.Session{NewDB: true, SkipHooks: true}), c.Stmt).Model(m.NewModel())
	tx.Statement.Schema, tx.Statement.Table, tx.Statement.ConnPool = m.Schema, m.Table, c.Stmt.ConnPool
	return &rows.Site{DB: tx, Stmt: tx.Statement, Ctx: c.Ctx, Model: m, Dialect: c.Dialect}, by
}

// parentModel returns a model that has what children refer to of their parent.
func (c *Call) parentModel(relation *schema.Relationship, key []any) (reflect.Value, error) {
	parent := reflect.New(relation.FieldSchema.ModelType).Elem()
	for i, reference := range relation.References {
		if err := reference.PrimaryKey.Set(c.Ctx, parent, key[i]); err != nil {
			return parent, err
		}
	}
	return parent, nil
}

func touchLoaded(tx *gorm.DB, parents reflect.Value) error {
	dest := parents.Interface()
	if parents.Elem().Len() == 1 {
		dest = parents.Elem().Index(0).Interface()
	}
	return tx.Clauses(&intent.Touch{}).Model(dest).UpdateColumns(map[string]any{}).Error
}

// parentsOf returns the keys of the parents of children, less those that the call has written already or is going to delete.
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

// writtenKeys returns the keys of the parents that the call that is under way has written, or is going to delete.
func (c *Call) writtenKeys(relation *schema.Relationship) map[string]bool {
	keys := map[string]bool{}
	if j := c.Plugin.Journals.Of(c.Stmt.ConnPool); j != nil {
		for _, written := range j.Written[relation.FieldSchema.ModelType] {
			keys[value.KeyText(c.referenced(relation, written))] = true
		}
	}
	return keys
}

// loadedParents returns the models of parents, loaded, that came along with their children; they are taken out of parents.
func (c *Call) loadedParents(relation *schema.Relationship, parents map[string][]any) reflect.Value {
	loaded := reflect.New(reflect.SliceOf(reflect.PointerTo(relation.FieldSchema.ModelType)))
	version, found := c.Plugin.ModelOfSchema(relation.FieldSchema).Version, map[string]bool{}
	_ = eachModel(c.Stmt.ReflectValue, func(_ int, child reflect.Value) error {
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

// lockParents locks the parents of children that are going to be inserted, where the INSERT would take a share lock on them
// for the foreign key: two sessions that both have it cannot touch the parent any more.
func (c *Call) lockParents() error {
	if !c.isCreate() || !c.Dialect.ForeignKeyLocksParent {
		return nil
	}
	for _, relation := range c.Model.Touches {
		children, err := c.created(relation)
		if err != nil {
			return err
		}
		if parents := c.parentsOf(relation, children); len(parents) > 0 {
			if err := c.lockReferenced(relation, parents); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Call) lockReferenced(relation *schema.Relationship, parents map[string][]any) error {
	site, by := c.siteOf(relation)
	hand := make([]*rows.Row, 0, len(parents))
	for _, key := range parents {
		hand = append(hand, &rows.Row{Key: key})
	}
	_, err := site.ReadRows(rows.Query{Lookup: by, Lock: clause.LockingStrengthUpdate}, hand)
	return err
}

// keysInOrder are keys in the order in which every transaction takes them, so that they do not deadlock.
func keysInOrder(keys map[string][]any) []any {
	sorted := slices.SortedFunc(maps.Values(keys), func(a, b []any) int { return slices.CompareFunc(a, b, rows.CompareKeyParts) })
	inOrder := make([]any, len(sorted))
	for i, key := range sorted {
		inOrder[i] = key
	}
	return inOrder
}
