package write

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/batch"
	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/rows"
)

// batchUpdate is an UPDATE of several rows, each with values of its own, in as many statements as the database's limit on
// parameters asks for.
type batchUpdate struct {
	p            *plan
	db           *gorm.DB      // whose statement is used
	columns      []rows.Column // the values of each row
	conditions   []clause.Expression
	set          clause.Set
	isCompared   bool
	behindSet    bool // GORM builds the SET, and set stands behind it: a soft delete
	isReferredTo bool // SQL of the caller's may refer to the values by their names
	send         func(*gorm.DB)

	returned []reflect.Value // models as RETURNING gave them
	deleted  reflect.Value   // a model that only has what a soft delete sets
}

func (p *plan) batchOf(columns []rows.Column, set clause.Set, send func(*gorm.DB)) *batchUpdate {
	return &batchUpdate{p: p, db: p.DB, columns: columns, conditions: p.ColumnsMatch(p.KeyColumns(&p.by)), set: set, send: send}
}

// advancing is an UPDATE that has rows take their next version: the one after the expected one, or after whatever they
// are at.
func (p *plan) advancing(set clause.Set, hand []*rows.Row, compared bool, send func(*gorm.DB)) *batchUpdate {
	version := p.Model.Version
	update := p.batchOf(p.KeyColumns(&p.by), slices.Clone(set), send)
	if compared && p.Model.Compares() == nil {
		update.compare(hand)
	}
	switch column := (clause.Column{Name: version.DBName}); {
	case version.ByDatabase:
	case compared:
		update.assign(version.DBName, p.nextColumn(), hand)
	case !version.IsAdvancedInSQL():
		update.columns = append(update.columns, p.nextColumn())
		update.set = append(update.set, clause.Assignment{Column: column, Value: p.nextColumn().Ref()})
	default:
		update.set = append(update.set, clause.Assignment{Column: column, Value: p.NextInSQL()})
	}
	return update
}

// compare has the UPDATE write only rows that are at their expected versions.
func (b *batchUpdate) compare(hand []*rows.Row) {
	b.isCompared = true
	version, column := b.p.Model.Version, b.p.expectedColumn()
	if _, same := sameInAll(column, hand); same {
		b.conditions = append(b.conditions, atVersion{version, hand[0].Expected})
		return
	}
	zero := slices.ContainsFunc(hand, func(r *rows.Row) bool { return version.Kind.IsZero(r.Expected) })
	b.columns = append(b.columns, column)
	b.conditions = append(b.conditions, version.IsAtColumn(column.Ref(), zero))
}

// assign has the UPDATE set a column of the table, to a value of each row's own or to the one that all have: fewer
// parameters are what makes a batch fast.
func (b *batchUpdate) assign(name string, column rows.Column, hand []*rows.Row) {
	value, same := sameInAll(column, hand)
	if !same {
		b.assignEach(name, column)
		return
	}
	b.set = append(b.set, clause.Assignment{Column: clause.Column{Name: name}, Value: value})
}

// assignEach has the UPDATE set a column of the table to a value of each row's own.
func (b *batchUpdate) assignEach(name string, column rows.Column) {
	b.columns = append(b.columns, column)
	b.set = append(b.set, clause.Assignment{Column: clause.Column{Name: name}, Value: column.Ref()})
}

// sameInAll returns the value that a column has in all rows, if it is one.
func sameInAll(column rows.Column, hand []*rows.Row) (value any, same bool) {
	value = column.Of(hand[0])
	if value != nil && !reflect.ValueOf(value).Comparable() {
		return nil, false
	}
	for _, r := range hand[1:] {
		if other := column.Of(r); other != value {
			return nil, false
		}
	}
	return value, true
}

// run sends the statements, and returns how many rows they wrote. It stops at the first error; the caller sees to it that
// all statements stand or fall together.
func (b *batchUpdate) run(hand []*rows.Row) (affected int64, err error) {
	defer rows.RunUnprepared(b.db.Statement, b.p.Stmt.ConnPool)() // that of the unit, which may be newer than the statement
	b.returned = nil
	if b.takesRowByRow(hand) {
		began := time.Now()
		if affected, ok, err := b.runRowByRow(hand, b.buildForRow); ok {
			if err == nil && !b.db.DryRun && b.db.Statement != b.p.Stmt {
				trace(b.db, began, affected, nil)
			}
			return affected, err
		}
	}
	parts := b.p.Split(b.columns, hand, b.varsBesideValues())
	for i, part := range parts {
		began := time.Now()
		n, returned, hidden, err := b.sendPart(part)
		if b.p.ForgetIndexes(err) {
			n, returned, hidden, err = b.sendPart(part)
		}
		b.p.ForgetElements(err)
		b.returned, b.deleted = append(b.returned, returned...), hidden
		affected += n
		if err != nil || b.db.DryRun {
			return affected, err
		}
		if i < len(parts)-1 || b.db.Statement != b.p.Stmt {
			trace(b.db, began, n, nil)
		}
	}
	return affected, nil
}

func (b *batchUpdate) sendPart(part rows.Part) (affected int64, returned []reflect.Value, hidden reflect.Value, err error) {
	if b.namesRow(part) {
		b.prepareRow(part)
	} else {
		b.prepare(part)
	}
	return b.p.sendHidden(b.db, b.behindSet, b.send)
}

// namesRow reports whether a part is one row whose values are its key alone: conditions name it like any other.
func (b *batchUpdate) namesRow(part rows.Part) bool {
	return len(part) == 1 && len(b.columns) == b.keyParts()
}

func (b *batchUpdate) keyParts() int { return len(b.p.by.Fields(b.p.Model)) }

// prepareRow gives the statement its clauses for one row.
func (b *batchUpdate) prepareRow(part rows.Part) {
	key := b.keyParts()
	b.startOver(append(b.p.KeyIs(&b.p.by, part[0][:key]), b.conditions[key:]...))
	b.write(nil)
}

// conditionsOf returns the conditions on the rows of a part that is joined. One row is named by its key as it is, too, which
// leads to it alone whatever the planner thinks of the table.
func (b *batchUpdate) conditionsOf(part rows.Part) []clause.Expression {
	if len(part) > 1 || !b.p.Dialect.ValuesFirst {
		return b.conditions
	}
	return append(b.p.KeyIs(&b.p.by, part[0][:b.keyParts()]), b.conditions...)
}

// prepare gives the statement its clauses.
func (b *batchUpdate) prepare(part rows.Part) {
	b.startOver(b.conditionsOf(part))
	values := part.Table(&b.p.Site, b.columns)
	if b.p.Dialect.ValuesFirst {
		given, _ := b.p.before.of("UPDATE")
		b.db.Statement.Clauses["UPDATE"] = b.p.ValuesFirst("UPDATE", given, values, b.p.IndexOf(&b.p.by, part))
		b.write(nil)
	} else {
		b.write(append(clauses.Expressions{clauses.Prefixed{Word: "FROM ", Expression: values}}, b.alsoFrom()...))
	}
}

// alsoFrom has the tables of the caller's own FROM stand behind the values.
func (b *batchUpdate) alsoFrom() clauses.Expressions {
	from := b.p.by.From
	if len(from.Tables) == 0 || b.db != b.p.DB {
		return nil
	}
	delete(b.db.Statement.Clauses, "FROM")
	return clauses.Expressions{clauses.Prefixed{Word: ", ", Expression: from}}
}

// startOver takes from the statement what the part before has left in it: GORM adds to conditions.
func (b *batchUpdate) startOver(conditions []clause.Expression) {
	stmt := b.db.Statement
	stmt.SQL.Reset()
	stmt.Vars = nil
	delete(stmt.Clauses, softDeleteMark)
	stmt.Clauses["WHERE"] = b.p.groupedWhere(conditions)
	if from, had := b.p.before.of("FROM"); had && b.db == b.p.DB {
		stmt.Clauses["FROM"] = from
	}
	given, _ := b.p.before.of("UPDATE")
	given.BeforeExpression = b.p.Dialect.Settings(false)
	stmt.Clauses["UPDATE"] = given
}

// write gives the statement its SET. Of a soft delete, GORM writes the first part of it.
func (b *batchUpdate) write(behind clauses.Expressions) {
	set := clause.Clause{Name: "SET", Expression: targets(b.p.Dialect, nonEmpty(b.p.Model, b.set))}
	if b.behindSet {
		set = clause.Clause{}
		behind = append(clauses.Expressions{clauses.FurtherAssignments(targets(b.p.Dialect, b.set))}, behind...)
	}
	if len(behind) > 0 {
		set.AfterExpression = behind
	}
	b.db.Statement.Clauses["SET"] = set
}

func (b *batchUpdate) varsBesideValues() int {
	return b.p.CountVars(clause.Set(b.set), b.p.groupedWhere(b.conditions).Expression) + rows.VarsInReserve
}

func (b *batchUpdate) giveReturned(hand []*rows.Row) error { return b.p.giveReturned(b.returned, hand) }

// giveDeleted gives the models of rows what a soft delete has set.
func (b *batchUpdate) giveDeleted(hand []*rows.Row) error {
	if !b.behindSet || !b.deleted.IsValid() { // no statement was sent where all rows are gone
		return nil
	}
	var set []clause.Column
	for _, field := range b.p.Model.Fields {
		if _, isZero := field.ValueOf(b.p.Ctx, b.deleted); !isZero && field.DBName != "" {
			set = append(set, clause.Column{Name: field.DBName})
		}
	}
	for _, r := range hand {
		if err := copyColumns(&b.p.Site, set, b.deleted, r); err != nil || len(set) == 0 {
			return err
		}
	}
	return nil
}

// severalWrite says how the UPDATE is sent, and what the models learn of it.
func (b *batchUpdate) severalWrite() severalWrite {
	how := severalWrite{send: b.sender(), written: func(hand []*rows.Row) error {
		if err := errors.Join(b.giveDeleted(hand), b.giveReturned(hand)); err != nil {
			return err
		}
		if !b.isCompared {
			return b.p.learnVersions(hand)
		}
		b.p.advanceAll(hand)
		return nil
	}}
	switch {
	case !b.isCompared:
		how.reaches = b.reaches
	case !b.isReferredTo && b.p.takesAtOnce():
		how.sendAtOnce = b.runAtOnce
	}
	return how
}

func (b *batchUpdate) reaches(state rows.State) bool {
	return state.IsThere && state.Holds && (!state.IsDeleted || b.db.Statement.Unscoped)
}

// sender sends the statements and, for versions that a statement itself does not know, what has to be read with them: the
// versions to go on from, or those that the database has written.
func (b *batchUpdate) sender() sender {
	switch version := b.p.Model.Version; {
	case version.ByDatabase && b.isCompared:
		return b.runAndRead
	case !version.IsAdvancedInSQL() && !b.isCompared:
		return b.readAndRun
	}
	return b.run
}

func (b *batchUpdate) runAndRead(hand []*rows.Row) (int64, error) {
	affected, err := b.run(hand)
	isWritten := affected == int64(len(hand)) || b.p.mayBeUnchanged()
	if err != nil || b.db.DryRun || !isWritten {
		return affected, err
	}
	return affected, b.p.readNext(hand)
}

func (b *batchUpdate) readAndRun(hand []*rows.Row) (int64, error) {
	if b.db.DryRun {
		return b.run(hand)
	}
	hand, err := b.p.followStored(hand)
	if err != nil || len(hand) == 0 {
		return 0, err
	}
	return b.run(hand)
}

// modelsUpdate is an UPDATE that writes fields of the models in hand, each its own, on a statement beside the one that inserts;
// with set, the fields are there for the assignments in it to refer to.
func (p *plan) modelsUpdate(hand []*rows.Row, fields []*schema.Field, set clause.Set, compared bool) severalWrite {
	update := p.advancing(set, hand, compared, p.Plugin.Gorm.update)
	update.db = p.besideStatement()
	update.isReferredTo = set != nil
	update.db.Statement.Unscoped = p.Stmt.Unscoped || !compared // as GORM's upsert, which does not mind soft deletes
	areArrays := len(hand) > 1 && p.TakesArrays(slices.Concat(fields, p.by.Fields(p.Model))...)
	for i, field := range fields {
		column := valueColumn(p.Call, p.valueName(i, field, set != nil), field)
		switch {
		case set != nil:
			update.columns = append(update.columns, column)
		case areArrays && field.AutoUpdateTime == 0:
			update.assignEach(field.DBName, column)
		default:
			update.assign(field.DBName, column, hand)
		}
	}
	update.refer(p.by.Proposed)
	p.compareFor(update.set)
	how := update.severalWrite()
	send := how.send
	how.send = func(hand []*rows.Row) (int64, error) {
		affected, err := send(hand)
		p.showStatement(update.db)
		return affected, err
	}
	if _, asked := p.before.of("RETURNING"); asked && !p.Dialect.UpdateReturning {
		how.written = p.readingReturned(how.written)
	}
	return how
}

// readingReturned reads what the caller wants returned where an UPDATE cannot return it, as an INSERT of GORM's would.
func (p *plan) readingReturned(written func(hand []*rows.Row) error) func(hand []*rows.Row) error {
	return func(hand []*rows.Row) error {
		models, err := p.lockModels(hand)
		if err == nil {
			err = p.giveReturned(models, hand)
		}
		if err != nil {
			return err
		}
		return written(hand)
	}
}

// showStatement has the call's own statement show what was sent beside it.
func (c *Call) showStatement(beside *gorm.DB) {
	if c.DB.DryRun {
		c.Stmt.SQL.Reset()
		c.Stmt.SQL.WriteString(beside.Statement.SQL.String())
		c.Stmt.Vars = beside.Statement.Vars
	}
}

// valueColumn is the value that a field of the models in hand has.
func valueColumn(c *Call, name string, field *schema.Field) rows.Column {
	return rows.Column{Column: batch.Column{Name: name, Like: field.DBName}, Of: func(r *rows.Row) any {
		value, _ := field.ValueOf(c.Ctx, r.Latest())
		return value
	}}
}

// refer adds columns to the values for conditions to refer to.
func (b *batchUpdate) refer(columns []rows.Column) {
	for _, column := range columns {
		isThere := func(other rows.Column) bool { return other.Name == column.Name }
		if !slices.ContainsFunc(b.columns, isThere) {
			b.columns = append(b.columns, column)
		}
	}
}

// valueName returns what a column is called among the values: its own name, unless that makes the caller's conditions or what
// RETURNING gives ambiguous.
func (p *plan) valueName(i int, field *schema.Field, isReferredTo bool) string {
	if _, returning := p.before.of("RETURNING"); !isReferredTo && (returning || p.by.HasOwnConditions()) {
		return fmt.Sprintf("occ_value_%d", i+1)
	}
	return field.DBName
}

// savingUpdate is the UPDATE that writes what Save writes.
func (p *plan) savingUpdate(hand []*rows.Row, compared bool) (severalWrite, error) {
	fields := p.savedFields()
	if err := p.setUpdateTime(fields, hand); err != nil {
		return severalWrite{}, err
	}
	return p.modelsUpdate(hand, fields, nil, compared), nil
}

// savedFields returns the columns that Save of a single model writes, but not the time of creation: GORM's Save of a slice
// leaves that alone.
func (c *Call) savedFields() (fields []*schema.Field) {
	columns, restricted := c.Stmt.SelectAndOmitColumns(false, true)
	for _, name := range c.Model.DBNames {
		field := c.Model.FieldsByDBName[name]
		selected, named := columns[name]
		switch {
		case field.PrimaryKey, field.AutoCreateTime > 0, field == c.Model.Version.Field, !field.Updatable:
		case kind.IsUnversioned(field) && !slices.Contains(c.Stmt.Selects, field.DBName) && !slices.Contains(c.Stmt.Selects, field.Name):
		case named && selected, !named && (!restricted || field.AutoUpdateTime > 0):
			fields = append(fields, field)
		}
	}
	return fields
}

// setUpdateTime sets the time of the update as GORM does, one time for all.
func (c *Call) setUpdateTime(fields []*schema.Field, hand []*rows.Row) error {
	now := c.DB.NowFunc()
	for _, field := range fields {
		if field.AutoUpdateTime == 0 {
			continue
		}
		for _, r := range hand {
			for _, r := range r.All() {
				if err := field.Set(c.Ctx, r.Model, now); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
