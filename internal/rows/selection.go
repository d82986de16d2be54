package rows

import (
	"database/sql"
	"errors"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/tx"
	"github.com/gorm-occ/occ/internal/value"
)

// selection is what a query selects of each row, and how a row is scanned. Always selected are the version, whether a soft
// delete hides the row, and the columns that a refusal names. The rest is selected where it is asked for.
type selection struct {
	site   *Site
	key    []*schema.Field   // the fields of which State.Key is made
	index  clause.Expression // which of the rows in hand it is; nil for rows that are not in hand
	holds  clause.Expression // whether the caller's own conditions hold; nil where they are in WHERE
	fields []*schema.Field   // the fields of the state's model
}

// columns returns the columns of the SELECT.
func (s *selection) columns() []clause.Expression {
	columns := append(s.site.VersionColumns(), s.site.DeletedInSQL())
	for _, further := range []clause.Expression{s.index, s.holds} {
		if further != nil {
			columns = append(columns, further)
		}
	}
	for _, field := range s.fields {
		column := clause.Column{Table: clause.CurrentTable, Name: field.DBName}
		columns = append(columns, clause.Expr{SQL: "?", Vars: []any{column}})
	}
	return append(columns, s.site.BlameColumns()...)
}

// each runs a query and calls do for each row that it finds.
func (s *selection) each(query *gorm.DB, do func(index int, state State)) error {
	if s.site.Failed != nil {
		return s.site.Failed
	}
	found, err := query.Clauses(clause.Select{Expression: clause.CommaExpression{Exprs: s.columns()}}).Rows()
	if err != nil {
		return err
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		index, state, err := s.scan(found)
		if err != nil {
			return err
		}
		do(index, state)
	}
	if err := errors.Join(found.Err(), found.Close()); err != nil {
		return err
	}
	return tx.HiddenRollback(s.site.Ctx, s.site.Dialect, query.Statement.ConnPool)
}

func (s *selection) scan(found *sql.Rows) (index int, state State, err error) {
	deleted, holds, version := 0, 1, s.site.NewVersionScan()
	targets := []any{&deleted}
	if s.index != nil {
		targets = append(targets, &index)
	}
	if s.holds != nil {
		targets = append(targets, &holds)
	}
	values, blame := fieldTargets(s.fields), s.site.BlameTargets()
	if err = version.Scan(found, slices.Concat(targets, values, blame)...); err != nil {
		return index, state, err
	}
	state.IsThere, state.IsDeleted, state.Holds = true, deleted != 0, holds != 0
	if state.Blame, err = s.site.BlameIn(blame); err != nil {
		return index, state, err
	}
	if state.Version, err = version.Value(); err != nil {
		return index, state, err
	}
	return index, state, s.takeFields(&state, values)
}

// takeFields makes the model of a row of what was scanned.
func (s *selection) takeFields(state *State, values []any) error {
	if len(s.fields) == 0 {
		return nil
	}
	state.Model = reflect.New(s.site.Model.ModelType).Elem()
	if err := s.site.setFields(s.fields, state.Model, values); err != nil {
		return err
	}
	state.Key = value.KeyText(s.site.KeyBy(s.key, state.Model))
	return nil
}

// fieldTargets returns what the columns of fields are scanned into.
func fieldTargets(fields []*schema.Field) []any {
	targets := make([]any, len(fields))
	for i, field := range fields {
		targets[i] = field.NewValuePool.Get()
	}
	return targets
}

// setFields gives a model what was scanned.
func (s *Site) setFields(fields []*schema.Field, model reflect.Value, targets []any) error {
	for i, field := range fields {
		if err := field.Set(s.Ctx, model, targets[i]); err != nil {
			return err
		}
		field.NewValuePool.Put(targets[i])
	}
	return nil
}

func distinctFields(lists ...[]*schema.Field) (fields []*schema.Field) {
	for _, field := range slices.Concat(lists...) {
		if !slices.Contains(fields, field) {
			fields = append(fields, field)
		}
	}
	return fields
}
