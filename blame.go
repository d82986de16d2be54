package occ

import (
	"reflect"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// blameTag is the tag of columns that say who wrote a row, and when: `gorm:"blame"`.
const blameTag = "BLAME"

func isBlame(field *schema.Field) bool {
	_, tagged := field.TagSettings[blameTag]
	return tagged && field.DBName != ""
}

// blameColumns are selected along with the version of a row that was refused.
func (w *site) blameColumns() (columns []clause.Expression) {
	for _, field := range w.model.blame {
		column := clause.Column{Table: clause.CurrentTable, Name: field.DBName}
		columns = append(columns, clause.Expr{SQL: "?", Vars: []any{column}})
	}
	return columns
}

// blameTargets are what the blame columns of a row are scanned into.
func (w *site) blameTargets() []any {
	targets := make([]any, len(w.model.blame))
	for i, field := range w.model.blame {
		targets[i] = field.NewValuePool.Get()
	}
	return targets
}

// blameIn is what was scanned, by column name, as the model's fields hold it; nil where no column is tagged.
func (w *site) blameIn(targets []any) (blame map[string]any, err error) {
	if len(targets) == 0 {
		return nil, nil
	}
	blame = make(map[string]any, len(targets))
	model := reflect.New(w.model.ModelType).Elem()
	for i, field := range w.model.blame {
		if err := field.Set(w.ctx, model, targets[i]); err != nil {
			return nil, err
		}
		field.NewValuePool.Put(targets[i])
		value, _ := field.ValueOf(w.ctx, model)
		if rv := dereferenced(value); rv.IsValid() {
			blame[field.DBName] = rv.Interface()
		} else {
			blame[field.DBName] = nil
		}
	}
	return blame, nil
}
