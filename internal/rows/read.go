package rows

import (
	"database/sql"
	"reflect"
	"slices"
	"strconv"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/batch"
	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/value"
)

// Latest is the model whose values are written: of several copies of one row, the last one.
func (r *Row) Latest() reflect.Value {
	if n := len(r.Copies); n > 0 {
		return r.Copies[n-1].Model
	}
	return r.Model
}

// ReadRows reads rows by their keys as they are now, in the way of read, and whether the caller's own conditions hold.
// With a lock they stay so until the transaction ends.
func (s *Site) ReadRows(rows []*Row, lock string) (states []State, err error) {
	if len(rows) == 0 {
		return nil, nil
	}
	failed := s.DB.Error
	s.DB.Error = nil
	defer func() { s.DB.Error = failed }()

	at := make(map[*Row]int, len(rows))
	for i, r := range rows {
		at[r] = i
	}
	index := Column{batch.Column{Name: indexColumn}, func(r *Row) any { return at[r] }}
	columns := slices.Concat([]Column{index}, s.KeyColumns(), s.Proposed)
	holds := clause.Expression(clause.Expr{SQL: "1"})
	if s.HasOwnConditions() {
		own := s.Own.Expression.(clause.Where)
		holds = clause.Expr{SQL: "CASE WHEN ? THEN 1 ELSE 0 END", Vars: []any{clauses.Group{Conditions: own.Exprs}}}
	}
	states = make([]State, len(rows))
	for _, part := range s.Split(columns, rows, s.CountVars(holds, s.DeletedInSQL())) {
		if err := s.readPart(part, columns, holds, lock, states); err != nil {
			return nil, err
		}
	}
	return states, nil
}

func (s *Site) readPart(part Part, columns []Column, holds clause.Expression, lock string, states []State) error {
	index := clause.Expression(clause.Expr{SQL: "?", Vars: []any{batch.Column{Name: indexColumn}.Ref()}})
	if s.namesRow(part) {
		index = clause.Expr{SQL: strconv.Itoa(part[0][0].(int))}
	}
	selected := append(s.VersionColumns(), index, s.DeletedInSQL(), holds)
	for _, field := range s.namingFields() {
		column := clause.Column{Table: clause.CurrentTable, Name: field.DBName}
		selected = append(selected, clause.Expr{SQL: "?", Vars: []any{column}})
	}
	selected = append(selected, s.BlameColumns()...)
	tx := s.Session()
	if s.AsShown {
		tx = s.SnapshotSession()
	}
	tx.Statement.ConnPool = Unprepared(s.Stmt.ConnPool)
	if lock != "" {
		tx = tx.Clauses(s.Locking(lock))
	}
	if s.namesRow(part) {
		tx = tx.Clauses(clause.Where{Exprs: append(s.KeyIs(part[0][1:]), s.Target...)})
	} else {
		tx = s.fromValues(tx, part, columns)
	}
	rows, err := tx.Clauses(clause.Select{Expression: clause.CommaExpression{Exprs: selected}}).Rows()
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := s.scanState(rows, states); err != nil {
			return err
		}
	}
	return rows.Err()
}

// namesRow tells a part of one row of which nothing but its key matters.
func (s *Site) namesRow(part Part) bool { return len(part) == 1 && len(s.Proposed) == 0 }

// KeyIs are the conditions that a row has a key.
func (s *Site) KeyIs(key []any) []clause.Expression {
	conditions := make([]clause.Expression, len(key))
	for i, field := range s.IdentityFields() {
		conditions[i] = clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: field.DBName}, Value: key[i]}
	}
	return conditions
}

// fromValues has a query read the rows that the values of a part have the keys of.
func (s *Site) fromValues(tx *gorm.DB, part Part, columns []Column) *gorm.DB {
	values := part.Table(s, columns)
	if s.Dialect.ValuesFirst() {
		tx.Statement.Clauses["FROM"] = s.ValuesFirst("FROM", clause.Clause{Expression: clause.From{}}, values, s.IndexOf(part))
	} else {
		tx = tx.Clauses(clause.From{Joins: []clause.Join{{Expression: clauses.Prefixed{Word: ", ", Expression: values}}}})
	}
	conditions := ColumnsMatch(s.KeyColumns())
	if len(part) == 1 && s.Dialect.ValuesFirst() {
		first := slices.IndexFunc(columns, func(c Column) bool { return c.Like != "" })
		conditions = append(conditions, s.KeyIs(part[0][first:][:len(conditions)])...)
	}
	return tx.Clauses(clause.Where{Exprs: append(conditions, s.Target...)})
}

func (s *Site) Locking(strength string) clause.Locking {
	locking := clause.Locking{Strength: strength}
	if s.Dialect.LocksNamedTable() {
		locking.Table = clause.Table{Name: s.Stmt.Table}
	}
	return locking
}

func (s *Site) scanState(rows *sql.Rows, states []State) (err error) {
	index, deleted, holds, version := 0, 0, 0, s.NewVersionScan()
	targets := []any{&index, &deleted, &holds}
	fields := s.namingFields()
	for _, field := range fields {
		targets = append(targets, field.NewValuePool.Get())
	}
	blame := s.BlameTargets()
	if err := version.Scan(rows, append(targets, blame...)...); err != nil {
		return err
	}
	state := &states[index]
	if state.Blame, err = s.BlameIn(blame); err != nil {
		return err
	}
	state.IsThere, state.IsDeleted, state.Holds = true, deleted != 0, holds != 0
	if state.Version, err = version.Value(); err != nil {
		return err
	}
	model := reflect.New(s.Model.ModelType).Elem()
	for i, field := range fields {
		value := targets[len(targets)-len(fields)+i]
		if err := field.Set(s.Ctx, model, value); err != nil {
			return err
		}
		field.NewValuePool.Put(value)
	}
	state.Key, state.Model = value.KeyText(s.KeyOf(model)), model
	return nil
}

// namingFields are what the rows of the write are found by, and their primary keys.
func (s *Site) namingFields() []*schema.Field {
	fields := s.IdentityFields()
	if s.Identity == nil {
		return fields
	}
	fields = slices.Clone(fields)
	for _, field := range s.Model.PrimaryFields {
		if !slices.Contains(fields, field) {
			fields = append(fields, field)
		}
	}
	return fields
}
