package occtest

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/registration"
)

// Overtaking is a write of somebody else's that [Overtake] has prepared. It is safe for concurrent use.
type Overtaking struct {
	mu       sync.Mutex
	happened bool
	through  bool // it went through a transaction of the caller
	before   row  // the row as it was
	after    row  // and as the other writer left it
}

// Happened reports whether somebody else has written the row: false as long as no write of it came through the db of
// [Overtake].
func (o *Overtaking) Happened() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.happened
}

// Overtake has somebody else write the row right before the next write of a T through db: change gets the row as it is stored,
// and what it makes of it is saved with its next version. A nil change writes the next version alone. The write is a create,
// update or delete through db or a session of it, by model, by condition or by table, that names a row which is there; of several
// rows, the one with the first key is written. It happens once, and only until t ends. DryRun and statements of Exec and Raw do not
// count as writes. Hooks and associations of T are left out.
//
// The other write is committed before the write begins; inside a transaction of the caller it is part of that. If it fails, or
// another test uses db at the same time, t fails and nothing is written.
func Overtake[T any](t testing.TB, db *gorm.DB, change func(*T)) *Overtaking {
	t.Helper()
	o := &Overtaking{}
	if claim(t, db) {
		overtake(t, db, o, nil, change)
	}
	return o
}

// isOther marks the context of the other writer's statements.
type isOther struct{}

// other is a fresh session in which somebody else reads and writes. It stays in the transaction that db is in.
func other(db *gorm.DB) *gorm.DB {
	ctx := context.Background()
	if db.Statement != nil && db.Statement.Context != nil {
		ctx = context.WithoutCancel(db.Statement.Context)
	}
	return db.Session(&gorm.Session{NewDB: true, SkipHooks: true, Context: context.WithValue(ctx, isOther{}, true)})
}

// overtake registers the other writer of the row with the key, of any row where key is nil.
func overtake[T any](t testing.TB, db *gorm.DB, o *Overtaking, key any, change func(*T)) {
	t.Helper()
	s, err := schemaOf[T](db)
	if err != nil {
		t.Errorf("occtest: %v", err)
		return
	}
	beforeWrites(t, db, func(write *gorm.DB) {
		if write.Error != nil || write.DryRun || write.Statement.Context.Value(isOther{}) != nil || !isWriteOf(write.Statement, s) {
			return
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.happened {
			return
		}
		if err := overtakeIn(write, s, o, key, change); err != nil {
			t.Errorf("occtest: the other writer of %s: %v", s.Name, err)
		}
	})
}

func overtakeIn[T any](write *gorm.DB, s *schema.Schema, o *Overtaking, key any, change func(*T)) error {
	conditions := conditionsOf(write.Statement, s)
	if len(conditions) == 0 {
		return nil
	}
	if key != nil {
		conditions = append(conditions, keyConditions(s, key)...)
	}
	var found []T
	read := other(write).Model(new(T)).Clauses(clause.Where{Exprs: conditions}).Limit(1)
	if write.Statement.Unscoped {
		read = read.Unscoped()
	}
	for _, column := range s.PrimaryFields {
		read = read.Order(clause.OrderByColumn{Column: clause.Column{Table: clause.CurrentTable, Name: column.DBName}})
	}
	if err := read.Find(&found).Error; err != nil || len(found) == 0 {
		return err
	}
	_, o.through = write.Statement.ConnPool.(gorm.TxCommitter)
	return o.write(other(write), s, &found[0], func() { apply(change, &found[0]) })
}

func apply[T any](change func(*T), model *T) {
	if change != nil {
		change(model)
	}
}

// write saves what change makes of the model, and keeps the row as it was and as it is.
func (o *Overtaking) write(db *gorm.DB, s *schema.Schema, model any, change func()) (err error) {
	key := keyOf(s, reflect.ValueOf(model).Elem())
	if o.before, err = load(db, s, key); err != nil {
		return err
	}
	change()
	if err := db.Unscoped().Omit(clause.Associations).Save(model).Error; err != nil {
		return err
	}
	o.after, err = load(db, s, key)
	o.happened = err == nil
	return err
}

// isWriteOf reports whether the statement writes the model with the schema, or its table.
func isWriteOf(stmt *gorm.Statement, s *schema.Schema) bool {
	return stmt.Schema != nil && stmt.Schema.ModelType == s.ModelType || stmt.Table == s.Table
}

// conditionsOf names the rows that the statement is about: by the keys of its models, else by its conditions.
func conditionsOf(stmt *gorm.Statement, s *schema.Schema) []clause.Expression {
	if keys := keysIn(stmt, s); len(keys) > 0 {
		return []clause.Expression{clause.Or(keys...)}
	}
	if where, ok := stmt.Clauses["WHERE"].Expression.(clause.Where); ok && len(where.Exprs) > 0 {
		return []clause.Expression{clause.And(where.Exprs...)}
	}
	return nil
}

func keysIn(stmt *gorm.Statement, s *schema.Schema) (keys []clause.Expression) {
	models := modelsIn(reflect.ValueOf(stmt.Model)) // for Update, GORM points ReflectValue at it later
	for _, model := range append(models, modelsIn(stmt.ReflectValue)...) {
		if model.Type() != s.ModelType {
			continue
		}
		if key := keyOf(s, model); key != nil {
			keys = append(keys, clause.And(keyConditions(s, key)...))
		}
	}
	return keys
}

// modelsIn are the structs in v, which is one or a slice of them.
func modelsIn(v reflect.Value) (models []reflect.Value) {
	v = reflect.Indirect(v)
	switch v.Kind() {
	case reflect.Struct:
		return []reflect.Value{v}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if e := reflect.Indirect(v.Index(i)); e.Kind() == reflect.Struct {
				models = append(models, e)
			}
		}
	}
	return models
}

// schemaOf parses T, which has to have a primary key.
func schemaOf[T any](db *gorm.DB) (*schema.Schema, error) {
	if err := registration.NeedDatabase(db); err != nil {
		return nil, err
	}
	stmt := &gorm.Statement{DB: db}
	if err := stmt.Parse(new(T)); err != nil {
		return nil, err
	}
	if len(stmt.Schema.PrimaryFields) == 0 {
		return nil, fmt.Errorf("model %s has no primary key", stmt.Schema.Name)
	}
	return stmt.Schema, nil
}
