package read

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/tx"
	"github.com/gorm-occ/occ/internal/value"
)

// loading is a query in a transaction that has written, whose models may take versions that a rollback takes away.
type loading struct {
	reader  *Reader
	stmt    *gorm.Statement
	journal *tx.Journal
	key     string              // of the model that is loaded into; empty where there is none, or it has none
	before  map[*kind.Field]any // what it had
}

// beginLoading returns nil where no version that is loaded can be one of the transaction's own.
func (r *Reader) beginLoading(stmt *gorm.Statement) *loading {
	j := r.Journals.Of(stmt.ConnPool)
	if j == nil || len(j.Memories) == 0 || !holdsModels(stmt) {
		return nil
	}
	l := &loading{reader: r, stmt: stmt, journal: j}
	if stmt.ReflectValue.Kind() == reflect.Struct {
		l.key, l.before = value.KeyOfModel(stmt.Context, stmt.Schema, stmt.ReflectValue), map[*kind.Field]any{}
		for _, field := range versionsOf(r.ModelOfSchema(stmt.Schema)) {
			l.before[field] = field.Of(stmt.Context, stmt.ReflectValue)
		}
	}
	return l
}

// versionsOf are the fields of a model that a load sets and a rollback puts back. A Snapshot without a version stays: it is compared by
// what it holds, so that a row which reads the same is the same to it.
func versionsOf(m *model.Model) (fields []*kind.Field) {
	for _, field := range []*kind.Field{m.Version, m.Base} {
		if field != nil && (field.PutImage == nil || field != m.Version) {
			fields = append(fields, field)
		}
	}
	return fields
}

// end remembers the models that have been loaded, and those that joins have filled.
func (l *loading) end() {
	target := l.stmt.ReflectValue
	if target.Kind() == reflect.Struct {
		l.keep(target, l.stmt.Schema, l.beforeOf(target))
		return
	}
	for _, model := range structsIn(target) {
		l.keep(model, l.stmt.Schema, nil)
	}
}

// beforeOf returns the versions that a model had of the row that is loaded into it; nil where it held another row.
func (l *loading) beforeOf(model reflect.Value) map[*kind.Field]any {
	if l.key == "" || l.key != value.KeyOfModel(l.stmt.Context, l.stmt.Schema, model) {
		return nil
	}
	return l.before
}

func (l *loading) keep(model reflect.Value, s *schema.Schema, before map[*kind.Field]any) {
	l.keepOne(model, s, before)
	for _, join := range l.stmt.Joins {
		l.keepAlong(model, s, strings.Split(join.Name, "."))
	}
}

// KeepPreloaded remembers the models that preloads have filled: GORM copies those that are no pointers into their owner.
func (r *Reader) KeepPreloaded(db *gorm.DB) {
	stmt := db.Statement
	if len(stmt.Preloads) == 0 || stmt.Schema == nil || db.Error != nil {
		return
	}
	if l := r.beginLoading(stmt); l != nil {
		for name := range stmt.Preloads {
			l.keepAlong(stmt.ReflectValue, stmt.Schema, strings.Split(name, "."))
		}
	}
}

// keepAlong remembers the models at the end of a path of relations, and those on the way.
func (l *loading) keepAlong(models reflect.Value, s *schema.Schema, path []string) {
	if len(path) == 0 {
		return
	}
	relations, rest := relationsNamed(&s.Relationships, path)
	for _, relation := range relations {
		for _, model := range structsIn(models) {
			related := relation.Field.ReflectValueOf(l.stmt.Context, model)
			for _, part := range structsIn(related) {
				l.keepOne(part, relation.FieldSchema, nil)
			}
			l.keepAlong(related, relation.FieldSchema, rest)
		}
	}
}

// relationsNamed returns the relations that a path begins with, and the rest of the path. Those of an embedded struct are behind the
// name of its field. There are none for a join in SQL, which fills no model.
func relationsNamed(of *schema.Relationships, path []string) (relations []*schema.Relationship, rest []string) {
	name, rest := path[0], path[1:]
	if name == clause.Associations {
		return allOf(of), rest
	}
	if relation, ok := of.Relations[name]; ok {
		return []*schema.Relationship{relation}, rest
	}
	if embedded, ok := of.EmbeddedRelations[name]; ok && len(rest) > 0 {
		return relationsNamed(embedded, rest)
	}
	return nil, nil
}

// allOf returns the relations of a model and of the structs that are embedded in it.
func allOf(of *schema.Relationships) []*schema.Relationship {
	relations := slices.Collect(maps.Values(of.Relations))
	for _, embedded := range of.EmbeddedRelations {
		relations = append(relations, allOf(embedded)...)
	}
	return relations
}

// structsIn returns the models that a value holds, without those that are nil.
func structsIn(models reflect.Value) []reflect.Value {
	isNil := func(model reflect.Value) bool { return model.Kind() != reflect.Struct }
	return slices.DeleteFunc(value.Elements(models), isNil)
}

func (l *loading) keepOne(model reflect.Value, s *schema.Schema, before map[*kind.Field]any) {
	for _, field := range versionsOf(l.reader.ModelOfSchema(s)) {
		l.journal.KeepLoaded(l.stmt.Context, field, model, before[field])
	}
}
