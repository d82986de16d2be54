package write

import (
	"maps"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/intent"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/session"
	"github.com/gorm-occ/occ/internal/value"
)

// parents are the rows that the children of a call belong to by one relation.
type parents struct {
	call     *Call
	relation *schema.Relationship
}

// parentKeys are what children refer to of their parents, by their texts.
type parentKeys map[string][]any

// created returns the models of a Create; of a map and of another type's struct, a model that has its foreign key.
func (p parents) created() ([]reflect.Value, error) {
	return p.call.proposed(p.childOfMap, p.childOfStruct)
}

func (p parents) childOfMap(values map[string]any) (reflect.Value, error) {
	child := reflect.New(p.call.Model.ModelType).Elem()
	for name, value := range values {
		field := p.call.Model.FieldOf(name)
		if !p.isForeignKey(field) || clauses.IsExpression(value) {
			continue
		}
		if err := field.Set(p.call.Ctx, child, value); err != nil {
			return child, err
		}
	}
	return child, nil
}

func (p parents) childOfStruct(other reflect.Value) (reflect.Value, error) {
	child := reflect.New(p.call.Model.ModelType).Elem()
	for _, reference := range p.relation.References {
		field := p.call.Stmt.Schema.LookUpField(reference.ForeignKey.DBName)
		if field == nil {
			continue
		}
		value, _ := field.ValueOf(p.call.Ctx, other)
		if err := reference.ForeignKey.Set(p.call.Ctx, child, value); err != nil {
			return child, err
		}
	}
	return child, nil
}

// isForeignKey reports whether a field of the children is part of the relation's foreign key.
func (p parents) isForeignKey(field *schema.Field) bool {
	return field != nil && slices.ContainsFunc(p.relation.References, func(r *schema.Reference) bool { return r.ForeignKey == field })
}

// touch writes the next version of the parents of children, each once. A parent that comes along with its child and is
// loaded is compared and learns the version. Rows that the same call writes or deletes by itself are not touched.
func (p parents) touch(children []reflect.Value) error {
	keys := p.keysOf(children)
	loaded := p.takeLoaded(keys)
	for _, key := range keys {
		parent, err := p.modelWith(key)
		if err != nil {
			return err
		}
		p.call.note(parent)
	}
	tx := session.Inherit(p.call.DB.Session(&gorm.Session{NewDB: true, SkipHooks: true, Initialized: true}), p.call.Stmt).Session(&gorm.Session{})
	if loaded.Elem().Len() > 0 {
		if err := touchLoaded(tx, loaded); err != nil {
			return err
		}
	}
	return p.eachPart(keys, func(find findParents) error {
		return find(tx.Clauses(&intent.Touch{}).Model(reflect.New(p.relation.FieldSchema.ModelType).Interface())).
			UpdateColumns(map[string]any{}).Error
	})
}

func touchLoaded(tx *gorm.DB, loaded reflect.Value) error {
	dest := loaded.Interface()
	if loaded.Elem().Len() == 1 {
		dest = loaded.Elem().Index(0).Interface()
	}
	return tx.Clauses(&intent.Touch{}).Model(dest).UpdateColumns(map[string]any{}).Error
}

// findParents gives a statement the conditions by which it finds parents.
type findParents = func(tx *gorm.DB) *gorm.DB

// eachPart sends statements about parents, each about some of them. One fails where the index that it asks for has been dropped.
func (p parents) eachPart(keys parentKeys, send func(find findParents) error) error {
	site, by := p.site()
	columns := model.ReferencedColumns(p.relation)
	for part := range slices.Chunk(keys.inOrder(), rows.MaxKeys) {
		sendPart := func() error {
			var index clause.Expression
			if len(part) > 1 {
				index = site.ByIndex(&by)
			}
			if site.Failed != nil {
				return site.Failed
			}
			return send(func(tx *gorm.DB) *gorm.DB {
				tx = tx.Where(haveKeys(p.call.Dialect, columns, part))
				if index == nil {
					return tx
				}
				return tx.Clauses(clauses.ByIndex{Index: index})
			})
		}
		err := sendPart()
		if site.ForgetIndexes(err) {
			err = sendPart()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// haveKeys is the condition that rows have one of several keys. MariaDB finds no rows by an index for a list of keys of several parts.
func haveKeys(d *dialect.Dialect, columns []clause.Column, keys []any) clause.Expression {
	if len(columns) == 1 || !d.ValuesFirst {
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

// site is where statements about parents work, and how they find them.
func (p parents) site() (*rows.Site, rows.Lookup) {
	c := p.call
	m, by := c.Plugin.ModelOfSchema(p.relation.FieldSchema), rows.Lookup{}
	for _, reference := range p.relation.References {
		by.Identity = append(by.Identity, reference.PrimaryKey)
	}
	tx := session.Inherit(c.DB.Session(&gorm.Session{NewDB: true, SkipHooks: true}), c.Stmt).Model(m.NewModel())
	tx.Statement.Schema, tx.Statement.Table, tx.Statement.ConnPool = m.Schema, m.Table, c.Stmt.ConnPool
	return &rows.Site{DB: tx, Stmt: tx.Statement, Ctx: c.Ctx, Model: m, Dialect: c.Dialect, Journals: c.Journals}, by
}

// modelWith returns a model of a parent that has what children refer to.
func (p parents) modelWith(key []any) (reflect.Value, error) {
	parent := reflect.New(p.relation.FieldSchema.ModelType).Elem()
	for i, reference := range p.relation.References {
		if err := reference.PrimaryKey.Set(p.call.Ctx, parent, key[i]); err != nil {
			return parent, err
		}
	}
	return parent, nil
}

// keysOf returns the keys of the parents of children, less those that the call has written already or is going to delete.
func (p parents) keysOf(children []reflect.Value) parentKeys {
	keys, written := parentKeys{}, p.written()
	for _, child := range children {
		key, isSet, hasNull := make([]any, len(p.relation.References)), false, false
		for i, reference := range p.relation.References {
			part, isZero := reference.ForeignKey.ValueOf(p.call.Ctx, child)
			key[i], isSet = part, isSet || !isZero
			hasNull = hasNull || isZero && value.AsSent(reflect.ValueOf(part)) == nil
		}
		if text := value.KeyText(key); isSet && !hasNull && !written[text] {
			keys[text] = key
		}
	}
	return keys
}

// written returns the keys of the parents that the call that is under way has written, or is going to delete, by their texts.
func (p parents) written() map[string]bool {
	j := p.call.Plugin.Journals.Of(p.call.Stmt.ConnPool)
	if j == nil {
		return nil
	}
	return j.NotedKeys(p.relation, p.textOf)
}

// takeLoaded returns the models of parents, loaded, that came along with their children, and takes their keys out.
func (p parents) takeLoaded(keys parentKeys) reflect.Value {
	loaded := reflect.New(reflect.SliceOf(reflect.PointerTo(p.relation.FieldSchema.ModelType)))
	version, found := p.call.Plugin.ModelOfSchema(p.relation.FieldSchema).Version, map[string]bool{}
	_ = eachModel(p.call.Stmt.ReflectValue, func(_ int, child reflect.Value) error {
		if !p.call.Model.IsModel(child) {
			return nil
		}
		parent := value.Indirect(p.relation.Field.ReflectValueOf(p.call.Ctx, child))
		if !parent.IsValid() || !parent.CanAddr() || version.Kind.IsZero(version.Of(p.call.Ctx, parent)) {
			return nil
		}
		text := p.textOf(parent)
		if _, isParent := keys[text]; isParent {
			found[text] = true
			loaded.Elem().Set(reflect.Append(loaded.Elem(), parent.Addr()))
		}
		return nil
	})
	for text := range found {
		delete(keys, text)
	}
	return loaded
}

// textOf returns the text of what children refer to of a parent.
func (p parents) textOf(parent reflect.Value) string {
	key := make([]any, len(p.relation.References))
	for i, reference := range p.relation.References {
		key[i], _ = reference.PrimaryKey.ValueOf(p.call.Ctx, parent)
	}
	return value.KeyText(key)
}

// lockOfCreated locks the parents of children that are going to be inserted. The INSERT would take a share lock on them for
// the foreign key, and two sessions that both have it cannot touch the parent any more.
func (p parents) lockOfCreated() error {
	children, err := p.created()
	if err != nil {
		return err
	}
	keys := p.keysOf(children)
	if len(keys) == 0 {
		return nil
	}
	site, by := p.site()
	hand := make([]*rows.Row, 0, len(keys))
	for _, key := range keys {
		hand = append(hand, &rows.Row{Key: key})
	}
	_, err = site.ReadRows(rows.Query{Lookup: by, Lock: clause.LockingStrengthUpdate}, hand)
	return err
}

// inOrder returns the keys in the order in which every transaction takes them, so that they do not deadlock.
func (k parentKeys) inOrder() []any {
	sorted := slices.SortedFunc(maps.Values(k), func(a, b []any) int { return slices.CompareFunc(a, b, rows.CompareKeyParts) })
	inOrder := make([]any, len(sorted))
	for i, key := range sorted {
		inOrder[i] = key
	}
	return inOrder
}
