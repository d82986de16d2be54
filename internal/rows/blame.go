package rows

import (
	"reflect"

	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/value"
)

// BlameColumns are selected along with the version of a row that was refused.
func (s *Site) BlameColumns() (columns []clause.Expression) {
	for _, field := range s.Model.Blame {
		column := clause.Column{Table: clause.CurrentTable, Name: field.DBName}
		columns = append(columns, clause.Expr{SQL: "?", Vars: []any{column}})
	}
	return columns
}

// BlameTargets are what the blame columns of a row are scanned into.
func (s *Site) BlameTargets() []any {
	targets := make([]any, len(s.Model.Blame))
	for i, field := range s.Model.Blame {
		targets[i] = field.NewValuePool.Get()
	}
	return targets
}

// BlameIn is what was scanned, by column name, as the model's fields hold it; nil where no column is tagged.
func (s *Site) BlameIn(targets []any) (blame map[string]any, err error) {
	if len(targets) == 0 {
		return nil, nil
	}
	blame = make(map[string]any, len(targets))
	model := reflect.New(s.Model.ModelType).Elem()
	for i, field := range s.Model.Blame {
		if err := field.Set(s.Ctx, model, targets[i]); err != nil {
			return nil, err
		}
		field.NewValuePool.Put(targets[i])
		given, _ := field.ValueOf(s.Ctx, model)
		if rv := value.Dereferenced(given); rv.IsValid() {
			blame[field.DBName] = rv.Interface()
		} else {
			blame[field.DBName] = nil
		}
	}
	return blame, nil
}
