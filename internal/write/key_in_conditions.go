package write

import (
	"reflect"
	"strings"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/model"
)

// keyInConditions returns the primary key that the caller's own conditions name, as in Where("id = ?", id); nil where they name
// none, or not every part of it. Then at most one row is what they are about, whatever else they ask for.
func (p *plan) keyInConditions() []any {
	where, _ := p.by.Own.Expression.(clause.Where)
	named := namedKey{fields: p.Model.PrimaryFields, values: map[string]any{}}
	if !named.addAll(where.Exprs) || len(named.values) < len(named.fields) || len(named.fields) == 0 {
		return nil
	}
	model := reflect.New(p.Model.ModelType).Elem()
	for _, field := range named.fields {
		if err := field.Set(p.Ctx, model, named.values[field.DBName]); err != nil {
			return nil
		}
	}
	return p.AllKeys(model)
}

// namedKey is what conditions say of a primary key.
type namedKey struct {
	fields []*schema.Field
	values map[string]any // by column
}

// addAll takes conditions that all have to hold; with an OR among them it returns false.
func (k *namedKey) addAll(conditions []clause.Expression) bool {
	for _, condition := range conditions {
		switch c := condition.(type) {
		case clause.OrConditions:
			return false
		case clause.AndConditions:
			if !k.addAll(c.Exprs) {
				return false
			}
		case clause.Eq:
			k.add(c.Column, c.Value)
		case clause.IN:
			if len(c.Values) == 1 {
				k.add(c.Column, c.Values[0])
			}
		case clause.Expr:
			k.addText(c)
		}
	}
	return true
}

func (k *namedKey) add(column, value any) {
	name, _ := column.(string)
	if c, ok := column.(clause.Column); ok {
		name = c.Name
	}
	if name == clause.PrimaryKey && len(k.fields) == 1 {
		name = k.fields[0].DBName
	}
	if clauses.IsExpression(value) {
		return
	}
	for _, field := range k.fields {
		if sameColumn(name, field) {
			k.values[field.DBName] = value
		}
	}
}

// addText takes the conditions that people write for a key: "id = ?", and all the parts of one in their order.
func (k *namedKey) addText(c clause.Expr) {
	text := strings.Join(strings.Fields(model.Unquoted.Replace(c.SQL)), " ")
	var whole []string
	for _, field := range k.fields {
		if name, isPart := strings.CutSuffix(text, " = ?"); isPart && len(c.Vars) == 1 && sameColumn(name, field) {
			k.add(field.DBName, c.Vars[0])
			return
		}
		whole = append(whole, field.DBName+" = ?")
	}
	if strings.EqualFold(text, strings.Join(whole, " AND ")) && len(c.Vars) == len(whole) {
		for i, field := range k.fields {
			k.add(field.DBName, c.Vars[i])
		}
	}
}

// sameColumn reports whether a name, with its table or without, is that of a field's column.
func sameColumn(name string, field *schema.Field) bool {
	name = model.Unquoted.Replace(name)
	return strings.EqualFold(name[strings.LastIndexByte(name, '.')+1:], field.DBName)
}
