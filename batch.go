package occ

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/batch"
)

// batchColumn is a column of the values of a batch, and how a row gets its value.
type batchColumn struct {
	batch.Column
	of func(*row) any
}

// Names that a model's own columns will not have: conditions and expressions of the caller stay unambiguous.
const (
	keyColumn      = "occ_key"
	expectedColumn = "occ_expected"
	nextColumn     = "occ_next"
	indexColumn    = "occ_index"
)

// keyColumns are the key by which a row is found.
func (w *site) keyColumns() []batchColumn {
	fields := w.identityFields()
	columns := make([]batchColumn, len(fields))
	for i, field := range fields {
		columns[i].Name, columns[i].Like = fmt.Sprintf("%s_%d", keyColumn, i+1), field.DBName
		columns[i].of = func(r *row) any { return r.key[i] }
	}
	return columns
}

// expectedColumn is the version that a row is compared with.
func (w *write) expectedColumn() batchColumn {
	version := w.model.version
	return batchColumn{batch.Column{Name: expectedColumn, Like: version.DBName}, func(r *row) any {
		if version.kind.isZero(r.expected) {
			return version.kind.zeroInSQL()
		}
		return version.kind.bind(r.expected)
	}}
}

// nextColumn is the version that is written to a row.
func (w *write) nextColumn() batchColumn {
	version := w.model.version
	return batchColumn{batch.Column{Name: nextColumn, Like: version.DBName}, func(r *row) any {
		return version.kind.bind(r.next)
	}}
}

// columnsMatch are the conditions that a row of the table is the one that the values are for.
func columnsMatch(columns []batchColumn) []clause.Expression {
	conditions := make([]clause.Expression, len(columns), len(columns)+2)
	for i, column := range columns {
		conditions[i] = clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: column.Like}, Value: column.Ref()}
	}
	return conditions
}

// compare has the UPDATE write only rows that are at their expected versions.
func (b *batchUpdate) compare(rows []*row) {
	b.isCompared = true
	version, column := b.w.model.version, b.w.expectedColumn()
	if _, same := sameInAll(column, rows); same {
		b.conditions = append(b.conditions, atVersion{version, rows[0].expected})
		return
	}
	zero := slices.ContainsFunc(rows, func(r *row) bool { return version.kind.isZero(r.expected) })
	b.columns = append(b.columns, column)
	b.conditions = append(b.conditions, version.isAtColumn(column.Ref(), zero))
}

// atVersion is the condition that a row is at a version.
type atVersion struct {
	field   *versionField
	version any
}

func (a atVersion) Build(builder clause.Builder) { a.field.isAt(builder, a.version, make([]any, 1)) }

// assign has the UPDATE set a column of the table, to a value of each row's own or to the one that all have: fewer
// parameters are what makes a batch fast.
func (b *batchUpdate) assign(name string, column batchColumn, rows []*row) {
	value, same := sameInAll(column, rows)
	if !same {
		b.columns = append(b.columns, column)
		value = column.Ref()
	}
	b.set = append(b.set, clause.Assignment{Column: clause.Column{Name: name}, Value: value})
}

// sameInAll gives the value that a column has in all rows, if it is one.
func sameInAll(column batchColumn, rows []*row) (value any, same bool) {
	value = column.of(rows[0])
	if value != nil && !reflect.ValueOf(value).Comparable() {
		return nil, false
	}
	for _, r := range rows[1:] {
		if other := column.of(r); other != value {
			return nil, false
		}
	}
	return value, true
}

// batchUpdate is an UPDATE of several rows, each with values of its own, in as many statements as the database's limit on
// parameters asks for.
type batchUpdate struct {
	w          *write
	db         *gorm.DB      // whose statement is used
	columns    []batchColumn // the values of each row
	conditions []clause.Expression
	set        clause.Set
	isCompared bool
	behindSet  bool // GORM builds the SET, and set stands behind it: a soft delete
	send       func(*gorm.DB)

	returned []reflect.Value // models as RETURNING gave them
	deleted  reflect.Value   // a model that only has what a soft delete sets
}

// run sends the statements and returns how many rows they wrote. It stops at the first error, which is in db.Error; the
// caller sees to it that all statements stand or fall together.
func (b *batchUpdate) run(rows []*row) (affected int64) {
	pool := b.db.Statement.ConnPool
	b.db.Statement.ConnPool = unprepared(b.w.stmt.ConnPool) // that of the unit, which may be newer than the statement
	defer func() { b.db.Statement.ConnPool = pool }()
	b.returned = nil
	parts := b.w.split(b.columns, rows, b.varsBesideValues())
	for i, part := range parts {
		began := time.Now()
		if b.namesRow(part) {
			b.prepareRow(part)
		} else {
			b.prepare(part)
		}
		returned, hidden := b.w.hideModels(b.db, b.behindSet, b.send)
		b.returned, b.deleted = append(b.returned, returned...), hidden
		affected += b.db.RowsAffected
		if b.db.Error != nil || b.db.DryRun {
			break
		}
		if i < len(parts)-1 || b.db.Statement != b.w.stmt {
			trace(b.db, began)
		}
	}
	return affected
}

// namesRow tells a part of one row whose values are its key alone: conditions name it like any other.
func (b *batchUpdate) namesRow(part batchPart) bool {
	return len(part) == 1 && len(b.columns) == len(b.w.identityFields())
}

// prepareRow gives the statement its clauses for one row.
func (b *batchUpdate) prepareRow(part batchPart) {
	key := len(b.w.identityFields())
	b.startOver(append(b.w.keyIs(part[0][:key]), b.conditions[key:]...))
	b.write(nil)
}

// conditionsOf are the conditions on the rows of a part that is joined. One row is named by its key as it is, too, which
// leads to it alone whatever the planner thinks of the table.
func (b *batchUpdate) conditionsOf(part batchPart) []clause.Expression {
	if len(part) > 1 || !b.w.dialect.ValuesFirst() {
		return b.conditions
	}
	return append(b.w.keyIs(part[0][:len(b.w.identityFields())]), b.conditions...)
}

// prepare gives the statement its clauses.
func (b *batchUpdate) prepare(part batchPart) {
	b.startOver(b.conditionsOf(part))
	values := part.table(&b.w.site, b.columns)
	if b.w.dialect.ValuesFirst() {
		given, _ := b.w.clausesBefore("UPDATE")
		b.db.Statement.Clauses["UPDATE"] = b.w.valuesFirst("UPDATE", given, values, b.w.indexOf(part))
		b.write(nil)
	} else {
		b.write(expressions{prefixed{"FROM ", values}})
	}
}

// startOver takes from the statement what the part before has left in it: GORM adds to conditions.
func (b *batchUpdate) startOver(conditions []clause.Expression) {
	stmt := b.db.Statement
	stmt.SQL.Reset()
	stmt.Vars = nil
	delete(stmt.Clauses, softDeleteMark)
	stmt.Clauses["WHERE"] = b.w.groupedWhere(conditions)
	given, _ := b.w.clausesBefore("UPDATE")
	given.BeforeExpression = b.w.dialect.Settings(false)
	stmt.Clauses["UPDATE"] = given
}

// write gives the statement its SET. Of a soft delete, GORM writes the first part of it.
func (b *batchUpdate) write(behind expressions) {
	set := clause.Clause{Name: "SET", Expression: b.w.targets(b.w.orNothing(b.set))}
	if b.behindSet {
		set = clause.Clause{}
		behind = append(expressions{furtherAssignments(b.w.targets(b.set))}, behind...)
	}
	if len(behind) > 0 {
		set.AfterExpression = behind
	}
	b.db.Statement.Clauses["SET"] = set
}

// valuesFirst is the clause that names the table, with values that the statement starts with and the index by which it goes
// on from them.
func (w *site) valuesFirst(name string, given clause.Clause, values batch.Table, index clause.Expression) clause.Clause {
	first := expressions{}
	if given.AfterNameExpression != nil {
		first = append(first, given.AfterNameExpression)
	}
	if update, ok := given.Expression.(clause.Update); ok && update.Modifier != "" {
		first = append(first, clause.Expr{SQL: update.Modifier})
		update.Modifier, given.Expression = "", update
	}
	given.Name, given.AfterNameExpression = name, append(first, values, clause.Expr{SQL: "STRAIGHT_JOIN"})
	if index != nil {
		given.AfterExpression = index
	}
	if settings := w.dialect.Settings(true); settings != nil && name == "UPDATE" {
		given.BeforeExpression = settings
	}
	return given
}

// targets are assignments as an UPDATE of two tables wants them: saying which table they are of, or not saying it.
func (w *write) targets(set clause.Set) clause.Set {
	table := ""
	if w.dialect.UpdateJoins() {
		table = clause.CurrentTable
	}
	targets := make(clause.Set, len(set))
	for i, assignment := range set {
		assignment.Column.Table = table
		targets[i] = assignment
	}
	return targets
}

// groupedWhere is the caller's conditions in parentheses and further ones.
func (w *write) groupedWhere(conditions []clause.Expression) clause.Clause {
	if own, _ := w.own.Expression.(clause.Where); len(own.Exprs) > 0 {
		conditions = append([]clause.Expression{group{own.Exprs}}, conditions...)
	}
	return clause.Clause{Name: "WHERE", Expression: clause.Where{Exprs: conditions}}
}

func (b *batchUpdate) varsBesideValues() int {
	return b.w.countVars(clause.Set(b.set), b.w.groupedWhere(b.conditions).Expression) + varsInReserve
}

// varsInReserve are parameters that GORM adds by itself, for soft deletes say.
const varsInReserve = 16

// countVars counts the parameters of expressions by building them.
func (w *site) countVars(expressions ...clause.Expression) int {
	scratch := w.scratch()
	for _, expression := range expressions {
		expression.Build(scratch)
	}
	return len(scratch.Vars)
}

// scratch is a statement on the write's table that is built and thrown away.
func (w *site) scratch() *gorm.Statement {
	tx := w.db.Session(&gorm.Session{NewDB: true, Context: w.ctx})
	stmt := tx.Model(w.model.newModel()).Statement
	stmt.Schema, stmt.Table, stmt.TableExpr = w.model.Schema, w.stmt.Table, w.stmt.TableExpr
	return stmt
}

// batchPart is the values of one statement.
type batchPart [][]any

func (p batchPart) table(w *site, columns []batchColumn) batch.Table {
	table := batch.Table{Dialect: *w.dialect, Rows: p, Columns: make([]batch.Column, len(columns))}
	for i, column := range columns {
		table.Columns[i] = column.Column
	}
	return table
}

// maxBatchBytes keeps a statement far from the packet sizes that servers refuse: 16 MB by default on MariaDB.
const maxBatchBytes = 4 << 20

// split divides rows into statements that the database takes, in the order of their keys.
func (w *site) split(columns []batchColumn, rows []*row, otherVars int) (parts []batchPart) {
	rows = inKeyOrder(rows)
	limit := max(w.dialect.MaxVars()-otherVars, len(columns))
	part, vars, bytes := make(batchPart, 0, min(len(rows), limit/len(columns))), 0, 0
	all := make([]any, len(rows)*len(columns))
	for n, r := range rows {
		values := all[n*len(columns):][:len(columns):len(columns)]
		rowVars, rowBytes := 0, 0
		for i, column := range columns {
			values[i] = column.of(r)
			rowVars += w.varsOf(values[i])
			rowBytes += sizeOf(values[i])
		}
		if len(part) > 0 && (vars+rowVars > limit || bytes+rowBytes > maxBatchBytes) {
			parts, part, vars, bytes = append(parts, part), nil, 0, 0
		}
		part, vars, bytes = append(part, values), vars+rowVars, bytes+rowBytes
	}
	return append(parts, part)
}

// varsOf is how many parameters a value takes: one, unless it becomes an expression or a list.
func (w *site) varsOf(value any) int {
	switch value.(type) {
	case gorm.Valuer, clause.Expression, clause.Column, *gorm.DB:
		return w.countVars(clause.Expr{SQL: "?", Vars: []any{value}, WithoutParentheses: true})
	}
	if kind := reflect.ValueOf(value).Kind(); kind == reflect.Slice || kind == reflect.Array {
		return w.countVars(clause.Expr{SQL: "?", Vars: []any{value}, WithoutParentheses: true})
	}
	return 1
}

func sizeOf(value any) int {
	const others = 16
	switch v := value.(type) {
	case string:
		return len(v)
	case []byte:
		return len(v)
	}
	return others
}

// unprepared is the connection below GORM's prepared statements: every size of a batch is another text, and would fill
// their cache.
func unprepared(pool gorm.ConnPool) gorm.ConnPool {
	switch prepared := pool.(type) {
	case *gorm.PreparedStmtTX:
		return prepared.Tx
	case *gorm.PreparedStmtDB:
		return prepared.ConnPool
	}
	return pool
}

// trace logs a statement that GORM itself does not: it logs one for each call.
func trace(db *gorm.DB, began time.Time) {
	stmt := db.Statement
	db.Logger.Trace(stmt.Context, began, func() (string, int64) {
		sql, vars := stmt.SQL.String(), stmt.Vars
		if filter, ok := db.Logger.(gorm.ParamsFilter); ok {
			sql, vars = filter.ParamsFilter(stmt.Context, sql, vars...)
		}
		return db.Dialector.Explain(sql, vars...), db.RowsAffected
	}, db.Error)
}

// hideModels runs send while the statement knows none of the models in hand: GORM would add their keys to the conditions,
// and scan what RETURNING gives into them by position. With soft, there is one model without a key, which GORM gives what
// a soft delete sets.
func (w *write) hideModels(db *gorm.DB, soft bool, send func(*gorm.DB)) (returned []reflect.Value, hidden reflect.Value) {
	stmt := db.Statement
	model, dest, target := stmt.Model, stmt.Dest, stmt.ReflectValue
	defer func() { stmt.Model, stmt.Dest, stmt.ReflectValue = model, dest, target }()
	fresh := reflect.New(reflect.SliceOf(reflect.PointerTo(w.model.ModelType)))
	hidden = reflect.New(w.model.ModelType)
	if soft {
		fresh.Elem().Set(reflect.Append(fresh.Elem(), hidden))
	}
	stmt.Dest = fresh.Interface()
	stmt.Model, stmt.ReflectValue = stmt.Dest, fresh.Elem()
	if c, ok := stmt.Clauses["RETURNING"]; ok {
		c.Name, c.Expression = "RETURNING", clause.Returning{}
		stmt.Clauses["RETURNING"] = c
	}
	send(db)
	for i := range fresh.Elem().Len() {
		if found := fresh.Elem().Index(i); found.Pointer() != hidden.Pointer() {
			returned = append(returned, found.Elem())
		}
	}
	return returned, hidden.Elem()
}

func (b *batchUpdate) giveReturned(rows []*row) error { return b.w.giveReturned(b.returned, rows) }

// giveReturned gives the models of rows the columns that the caller asked RETURNING for.
func (w *write) giveReturned(returned []reflect.Value, rows []*row) error {
	if len(returned) == 0 {
		return nil
	}
	given, _ := w.clausesBefore("RETURNING")
	returning, _ := given.Expression.(clause.Returning)
	byKey := make(map[string]reflect.Value, len(returned))
	for _, model := range returned {
		byKey[keyText(w.keyOf(model))] = model
	}
	for _, r := range rows {
		model, ok := byKey[keyText(r.key)]
		if !ok {
			continue
		}
		if err := w.copyColumns(returning.Columns, model, r); err != nil {
			return err
		}
	}
	return nil
}

// copyColumns copies columns, all of them where none is named, from a model to those of a row. The version is not copied:
// it is advanced.
func (w *write) copyColumns(columns []clause.Column, from reflect.Value, to *row) error {
	names := make([]string, 0, len(columns))
	for _, column := range columns {
		names = append(names, column.Name)
	}
	if len(names) == 0 || slices.Contains(names, "*") {
		names = w.model.DBNames
	}
	for _, name := range names {
		field := w.model.LookUpField(name)
		if field == nil || !field.Readable || field == w.model.version.Field {
			continue
		}
		value, _ := field.ValueOf(w.ctx, from)
		for _, r := range append([]*row{to}, to.copies...) {
			if !r.model.CanAddr() {
				continue
			}
			if err := field.Set(w.ctx, r.model, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// giveDeleted gives the models of rows what a soft delete has set.
func (b *batchUpdate) giveDeleted(rows []*row) error {
	if !b.behindSet || !b.deleted.IsValid() { // no statement was sent where all rows are gone
		return nil
	}
	var set []clause.Column
	for _, field := range b.w.model.Fields {
		if _, isZero := field.ValueOf(b.w.ctx, b.deleted); !isZero && field.DBName != "" {
			set = append(set, clause.Column{Name: field.DBName})
		}
	}
	for _, r := range rows {
		if err := b.w.copyColumns(set, b.deleted, r); err != nil || len(set) == 0 {
			return err
		}
	}
	return nil
}

// prefixed is an expression behind a word.
type prefixed struct {
	word       string
	expression clause.Expression
}

func (p prefixed) Build(builder clause.Builder) {
	_, _ = builder.WriteString(p.word)
	p.expression.Build(builder)
}

// expressions stand one behind the other.
type expressions []clause.Expression

func (es expressions) Build(builder clause.Builder) {
	for i, e := range es {
		if i > 0 {
			_ = builder.WriteByte(' ')
		}
		e.Build(builder)
	}
}
