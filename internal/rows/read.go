package rows

import (
	"strconv"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/batch"
	"github.com/gorm-occ/occ/internal/clauses"
)

// Query says how rows are read.
type Query struct {
	Lookup
	Lock   string          // the strength of a lock that keeps the rows as they are until the transaction ends; "" for none
	Fields []*schema.Field // further fields that the models of the states have
}

// Read reads one row by its key as it is now: past soft deletes and, where the database can, past the transaction's snapshot.
func (s *Site) Read(key []any, options ...clause.Expression) (state State, err error) {
	query := s.Session().Clauses(clause.Where{Exprs: []clause.Expression{&Condition{Model: s.Model, Key: key}}}).Clauses(options...)
	selection := selection{site: s}
	err = selection.each(query, func(_ int, found State) { state = found })
	return state, err
}

// ReadMatching reads the rows that a query finds by its own conditions. The models of the states have the key and fields.
func (s *Site) ReadMatching(query *gorm.DB, fields ...*schema.Field) (states []State, err error) {
	selection := selection{site: s, key: s.Model.PrimaryFields, fields: distinctFields(s.Model.PrimaryFields, fields)}
	err = selection.each(query, func(_ int, state State) { states = append(states, state) })
	return states, err
}

// ReadRows reads rows by their keys as they are now, in the way of Read, and whether the caller's own conditions hold. The
// states are in the order of the rows.
func (s *Site) ReadRows(q Query, rows []*Row) (states []State, err error) {
	if len(rows) == 0 {
		return nil, nil
	}
	at := make(map[*Row]int, len(rows))
	for i, r := range rows {
		at[r] = i
	}
	r := reading{Site: s, Query: q, fields: distinctFields(q.namingFields(s.Model), q.Fields), holds: q.holds()}
	index := Column{batch.Column{Name: indexColumn}, func(r *Row) any { return at[r] }}
	r.columns = append([]Column{index}, append(s.KeyColumns(&q.Lookup), q.Proposed...)...)
	states = make([]State, len(rows))
	for _, part := range s.Split(r.columns, rows, s.CountVars(r.holds, s.DeletedInSQL())) {
		err := r.readPart(part, states)
		if s.ForgetIndexes(err) {
			err = r.readPart(part, states)
		}
		if err != nil {
			s.ForgetElements(err)
			return nil, err
		}
	}
	return states, nil
}

// holds returns, as SQL, whether the caller's own conditions hold.
func (q *Query) holds() clause.Expression {
	if !q.HasOwnConditions() {
		return clause.Expr{SQL: "1"}
	}
	own := q.Own.Expression.(clause.Where)
	if len(q.From.Tables) > 0 {
		return clause.Expr{SQL: "CASE WHEN EXISTS (SELECT 1 ? WHERE ?) THEN 1 ELSE 0 END", Vars: []any{q.From, clauses.Group{Conditions: own.Exprs}}}
	}
	return clause.Expr{SQL: "CASE WHEN ? THEN 1 ELSE 0 END", Vars: []any{clauses.Group{Conditions: own.Exprs}}}
}

// reading is one call of ReadRows.
type reading struct {
	*Site
	Query
	columns []Column // the values of each row: its index, its key, and what the caller's conditions refer to
	fields  []*schema.Field
	holds   clause.Expression
}

func (r *reading) readPart(part Part, states []State) error {
	index := clause.Expression(clause.Expr{SQL: "?", Vars: []any{batch.Column{Name: indexColumn}.Ref()}})
	if r.namesRow(part) {
		index = clause.Expr{SQL: strconv.Itoa(part[0][0].(int))}
	}
	selection := selection{site: r.Site, key: r.Lookup.Fields(r.Model), index: index, holds: r.holds, fields: r.fields}
	return selection.each(r.query(part), func(index int, state State) { states[index] = state })
}

// query returns the query that finds the rows of a part.
func (r *reading) query(part Part) *gorm.DB {
	query := r.Session()
	if r.AsShown {
		query = r.SnapshotSession()
	}
	query.Statement.ConnPool = Unprepared(r.Stmt.ConnPool)
	if r.Lock != "" {
		query = query.Clauses(r.Locking(r.Lock))
	}
	if r.namesRow(part) {
		return query.Clauses(clause.Where{Exprs: append(r.KeyIs(&r.Lookup, part[0][1:]), r.Target...)})
	}
	return r.fromValues(query, part)
}

// namesRow reports whether a part is one row of which nothing but its key matters.
func (r *reading) namesRow(part Part) bool { return len(part) == 1 && len(r.Proposed) == 0 }

// fromValues has a query read the rows that the values of a part have the keys of.
func (r *reading) fromValues(query *gorm.DB, part Part) *gorm.DB {
	values := part.Table(r.Site, r.columns)
	conditions := r.ColumnsMatch(r.KeyColumns(&r.Lookup))
	if !r.Dialect.ValuesFirst {
		query = query.Clauses(clause.From{Joins: []clause.Join{{Expression: clauses.Prefixed{Word: ", ", Expression: values}}}})
	} else {
		query.Statement.Clauses["FROM"] = r.ValuesFirst("FROM", clause.Clause{Expression: clause.From{}}, values, r.IndexOf(&r.Lookup, part))
		if len(part) == 1 {
			conditions = append(conditions, r.KeyIs(&r.Lookup, part[0][1:][:len(conditions)])...)
		}
	}
	return query.Clauses(clause.Where{Exprs: append(conditions, r.Target...)})
}

// KeyIs returns the conditions that a row has a key.
func (s *Site) KeyIs(by *Lookup, key []any) []clause.Expression {
	conditions := make([]clause.Expression, len(key))
	for i, field := range by.Fields(s.Model) {
		conditions[i] = clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: field.DBName}, Value: key[i]}
	}
	return conditions
}
