package read

import (
	"context"
	"reflect"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/hot"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/value"
)

// readsHot reports whether a query names a contended row by its primary key.
func (r *Reader) readsHot(stmt *gorm.Statement) bool {
	if r.Hot.N.Load() == 0 || stmt.Schema == nil || len(stmt.Schema.PrimaryFields) == 0 {
		return false
	}
	named := keysNamed{ctx: stmt.Context, schema: stmt.Schema, values: make([][]any, len(stmt.Schema.PrimaryFields))}
	if where, ok := stmt.Clauses["WHERE"].Expression.(clause.Where); ok {
		named.addAll(where.Exprs)
	}
	named.addModel(stmt.ReflectValue)
	now := time.Now()
	return named.anyKey(func(key []any) bool { return r.Hot.Has(hot.HotHash(stmt.Table, value.KeyText(key)), now) })
}

// keysNamed are the primary keys that conditions name, part by part.
type keysNamed struct {
	ctx    context.Context
	schema *schema.Schema
	values [][]any // by primary field
}

func (k *keysNamed) addAll(conditions []clause.Expression) {
	for _, condition := range conditions {
		switch c := condition.(type) {
		case clause.Eq:
			k.add(c.Column, c.Value)
		case clause.IN:
			k.add(c.Column, c.Values...)
		case clause.AndConditions:
			k.addAll(c.Exprs)
		case clause.Expr:
			if column, ok := equalsOne(c); ok {
				k.add(column, c.Vars[0])
			}
		}
	}
}

// equalsOne reports whether a condition is no more than `column = ?`.
func equalsOne(expr clause.Expr) (column string, ok bool) {
	const equals = " = ?"
	text := model.Unquoted.Replace(expr.SQL)
	if len(expr.Vars) != 1 || len(text) <= len(equals) || text[len(text)-len(equals):] != equals {
		return "", false
	}
	return text[:len(text)-len(equals)], true
}

func (k *keysNamed) add(column any, values ...any) {
	name, _ := column.(string)
	if c, ok := column.(clause.Column); ok {
		name = c.Name
	}
	for i, field := range k.schema.PrimaryFields {
		isIt := name == field.DBName || name == k.schema.Table+"."+field.DBName ||
			name == clause.PrimaryKey && field == k.schema.PrioritizedPrimaryField
		if isIt {
			k.values[i] = append(k.values[i], values...)
		}
	}
}

// addModel adds the key of the model that is read into, by which GORM looks for the row.
func (k *keysNamed) addModel(model reflect.Value) {
	if model.Kind() != reflect.Struct || model.Type() != k.schema.ModelType {
		return
	}
	for i, field := range k.schema.PrimaryFields {
		if value, isZero := field.ValueOf(k.ctx, model); !isZero {
			k.values[i] = append(k.values[i], value)
		}
	}
}

// anyKey reports whether is holds for one of the keys. Of a key of several parts, each has to be named once.
func (k *keysNamed) anyKey(is func(key []any) bool) bool {
	key := make([]any, len(k.values))
	for i, values := range k.values {
		if len(values) == 0 || len(values) > 1 && len(k.values) > 1 {
			return false
		}
		key[i] = k.asStored(i, values[0])
	}
	if len(key) > 1 {
		return is(key)
	}
	for _, value := range k.values[0] {
		if key[0] = k.asStored(0, value); is(key) {
			return true
		}
	}
	return false
}

// asStored is a value as the model's field holds it, so that 7 and "7" are one key.
func (k *keysNamed) asStored(part int, value any) any {
	model, field := reflect.New(k.schema.ModelType).Elem(), k.schema.PrimaryFields[part]
	if err := field.Set(k.ctx, model, value); err != nil {
		return value
	}
	stored, _ := field.ValueOf(k.ctx, model)
	return stored
}
