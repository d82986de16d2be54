package write

import (
	"reflect"
	"slices"

	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/batch"
	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
)

// upsertStatement is the INSERT ... ON CONFLICT DO UPDATE of an upsert.
type upsertStatement struct{ *rows.Site }

// build builds the statement ahead of GORM, because GORM decides on the columns of an UpdateAll while it builds. It
// has rows that are there take the version that follows on theirs, or next.
func (s upsertStatement) build(next any) clause.OnConflict {
	stmt := s.Stmt
	isOnTable := stmt.Schema == nil // a map, of which GORM cannot build an UpdateAll
	if isOnTable {
		stmt.Schema = s.Model.Schema
		defer func() { stmt.Schema = nil }()
	}
	given, _ := stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	if !stmt.Unscoped {
		for _, entry := range s.Model.CreateClauses {
			stmt.AddClause(entry)
		}
	}
	stmt.AddClauseIfNotExists(clause.Insert{})
	stmt.AddClause(callbacks.ConvertToCreateValues(stmt))
	built, _ := stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	set, counts := s.assignments(built.DoUpdates, given.UpdateAll)
	built.DoUpdates = s.withNext(set, counts, next)
	built.DoNothing, built.UpdateAll = false, false
	stmt.AddClause(built)
	if !isOnTable {
		s.addReturning(built)
	}
	stmt.Build(stmt.BuildClauses...)
	return built
}

// assignments returns those of the caller without the version, which is never one from the payload. A change of nothing but
// unversioned columns does not count, and a whole row leaves them alone.
func (s upsertStatement) assignments(given clause.Set, wholeRow bool) (set clause.Set, counts bool) {
	set, counts = make(clause.Set, 0, len(given)+1), len(given) == 0
	payload := updatePayload{Site: s.Site}
	for _, assignment := range given {
		field := s.Model.LookUpField(assignment.Column.Name)
		isFree := field != nil && kind.IsUnversioned(field)
		switch {
		case s.Model.IsVersionColumn(assignment.Column.Name):
			counts = true
		case !isFree || !wholeRow:
			set = append(set, assignment)
			counts = counts || !isFree && !payload.isTimestamp(assignment)
		}
	}
	return set, counts
}

// withNext adds the next version to the assignments of an upsert, unless the database writes it.
func (s upsertStatement) withNext(set clause.Set, counts bool, next any) clause.Set {
	if next == nil {
		if inSQL := s.NextInSQL(); inSQL != nil {
			next = inSQL
		}
	}
	if !counts || next == nil || s.Model.Version.ByDatabase {
		return set
	}
	return append(set, clause.Assignment{Column: clause.Column{Name: s.Model.Version.DBName}, Value: next})
}

// addReturning asks for what distinguishes the written rows, their version, and what GORM asks for.
func (s upsertStatement) addReturning(conflict clause.OnConflict) {
	if !slices.Contains(s.Stmt.BuildClauses, "RETURNING") {
		return
	}
	if isOfPayloads(s.Site) {
		s.returnDefaults()
		return
	}
	if given, ok := s.Stmt.Clauses["RETURNING"].Expression.(clause.Returning); ok && len(given.Columns) == 0 {
		return // all columns
	}
	var columns []clause.Column
	add := func(field *schema.Field) {
		if field != nil && field.Readable && !slices.Contains(columns, clause.Column{Name: field.DBName}) {
			columns = append(columns, clause.Column{Name: field.DBName})
		}
	}
	for _, field := range slices.Concat(s.Model.PrimaryFields, s.Model.FieldsWithDefaultDBValue, conflictFields(s.Model, conflict)) {
		add(field)
	}
	add(s.Model.Version.Field)
	for _, field := range updateTimes(s.Model, conflict.DoUpdates) {
		add(field)
	}
	s.Stmt.AddClause(clause.Returning{Columns: columns})
}

// returnDefaults asks for what GORM does: maps and structs of other types need not have the other columns.
func (s upsertStatement) returnDefaults() {
	var columns []clause.Column
	for _, field := range s.Stmt.Schema.FieldsWithDefaultDBValue {
		if field.Readable {
			columns = append(columns, clause.Column{Name: field.DBName})
		}
	}
	if len(columns) > 0 {
		s.Stmt.AddClauseIfNotExists(clause.Returning{Columns: columns})
	}
}

// referredFields returns what the assignments of an upsert may take from the row that was to be inserted: one each, or any
// where the caller wrote SQL.
func referredFields(m *model.Model, set clause.Set) (fields []*schema.Field) {
	for _, assignment := range set {
		column, isColumn := assignment.Value.(clause.Column)
		switch {
		case isColumn && column.Table == batch.Alias:
			if field := m.LookUpField(column.Name); field != nil && !slices.Contains(fields, field) {
				fields = append(fields, field)
			}
		case clauses.IsExpression(assignment.Value) && !m.IsVersionColumn(assignment.Column.Name):
			return insertedFields(m)
		}
	}
	return fields
}

func insertedFields(m *model.Model) (fields []*schema.Field) {
	for _, name := range m.DBNames {
		if field := m.FieldsByDBName[name]; field.Creatable && field != m.Version.Field {
			fields = append(fields, field)
		}
	}
	return fields
}

// updateTimes returns the columns that GORM sets to the time of the update, in rows that are there and not in the models.
func updateTimes(m *model.Model, set clause.Set) (fields []*schema.Field) {
	for _, assignment := range set {
		if field := updateTime(m, assignment); field != nil {
			fields = append(fields, field)
		}
	}
	return fields
}

// updateTime returns the column that an assignment sets to the time of the update. It is nil where the assignment sets another
// column, or one to a value of the row that was to be inserted.
func updateTime(m *model.Model, assignment clause.Assignment) *schema.Field {
	field := m.LookUpField(assignment.Column.Name)
	_, isOfProposed := assignment.Value.(clause.Column)
	if field == nil || field.AutoUpdateTime == 0 || isOfProposed || clauses.IsExpression(assignment.Value) {
		return nil
	}
	return field
}

// keepUpdateTimes gives models the time of the update that GORM sets in their rows alone.
func keepUpdateTimes(s *rows.Site, set clause.Set) error {
	for _, assignment := range set {
		field := updateTime(s.Model, assignment)
		if field == nil {
			continue
		}
		err := eachModel(s.Stmt.ReflectValue, func(_ int, model reflect.Value) error {
			return field.Set(s.Ctx, model, assignment.Value)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
