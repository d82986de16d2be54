package write

import (
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/rows"
)

// writeUnchecked writes whatever version the rows are at. Where the model in hand names the row, it learns the version
// that was written, in the same transaction. Later, it could be the version of somebody else's write.
func (p *plan) writeUnchecked(set clause.Set, send func(*gorm.DB)) (int64, error) {
	if len(p.rows) > 0 {
		p.Counters().Blind.Add(1)
		p.whereRow(false)
	}
	next := p.NextInSQL()
	if p.Model.Version.ByDatabase || next != nil {
		return p.writeAndLearn(p.andVersion(set, next), send)
	}
	return p.writeMatched(set, send)
}

func (p *plan) writeAndLearn(set clause.Set, send func(*gorm.DB)) (int64, error) {
	if len(p.rows) == 0 {
		return p.writeUnnamed(set, send)
	}
	return p.within(func() (int64, error) {
		affected, err := p.run(set, send)
		switch {
		case err != nil, p.DB.DryRun, p.removes():
			return affected, err
		case affected == 0:
			return 0, p.learnUnchanged(&p.rows[0])
		}
		return affected, p.learnVersion(&p.rows[0])
	})
}

// writeUnnamed writes rows that no model in hand names. What RETURNING makes models of learns the versions, or the snapshots,
// that the rows have then, if it gave all their columns.
func (p *plan) writeUnnamed(set clause.Set, send func(*gorm.DB)) (int64, error) {
	returning, asked := p.Stmt.Clauses["RETURNING"].Expression.(clause.Returning)
	isWhole := len(returning.Columns) == 0 || slices.ContainsFunc(returning.Columns, func(c clause.Column) bool { return c.Name == "*" })
	if !asked || !isWhole || !p.Model.Version.ByDatabase || p.isHardDelete() {
		return p.run(set, send)
	}
	return p.within(func() (int64, error) {
		affected, err := p.run(set, send)
		if err != nil || p.DB.DryRun || affected == 0 || !p.Stmt.ReflectValue.CanAddr() {
			return affected, err
		}
		return affected, p.inserted(p.collect(p.Stmt.ReflectValue, nil)).learnInserted()
	})
}

// writeMatched is for writes that are not compared and whose next versions SQL cannot make. The rows that match are read
// and locked, and one UPDATE gives each its own.
func (p *plan) writeMatched(set clause.Set, send func(*gorm.DB)) (int64, error) {
	switch {
	case p.isHardDelete():
		return p.writeAndLearn(nil, send)
	case p.DB.DryRun: // no row is read, so the versions that would be written are not known
		version := clause.Column{Name: p.Model.Version.DBName}
		return p.run(p.alsoSet(set, clause.Assignment{Column: version, Value: version}), send)
	case len(p.rows) == 0 && !p.by.HasOwnConditions() && !p.DB.AllowGlobalUpdate:
		return 0, gorm.ErrMissingWhereClause
	}
	p.keepFrom()
	p.before.keep("ORDER BY", "LIMIT")
	return p.allOrNone(func() (int64, error) {
		hand, err := p.lockMatched()
		if err != nil || len(hand) == 0 {
			return 0, err
		}
		return p.advanceMatched(hand, set, send)
	})
}

// advanceMatched writes the rows that were read. The model in hand, if there is one, is one of them.
func (p *plan) advanceMatched(hand []*rows.Row, set clause.Set, send func(*gorm.DB)) (int64, error) {
	for _, r := range hand {
		if err := p.SetNextAfter(r, r.Expected); err != nil {
			return 0, err
		}
	}
	delete(p.Stmt.Clauses, "ORDER BY")
	delete(p.Stmt.Clauses, "LIMIT")
	columns := append(p.KeyColumns(&p.by), p.nextColumn())
	version := clause.Assignment{Column: clause.Column{Name: p.Model.Version.DBName}, Value: columns[len(columns)-1].Ref()}
	update := p.batchOf(columns, append(slices.Clone(set), version), send)
	update.behindSet = p.isDelete()
	affected, err := update.run(hand)
	if err != nil {
		return 0, err
	}
	if len(p.rows) == 0 {
		giveMatched(&p.Site, update.returned)
		return affected, nil
	}
	p.rows[0].Next = hand[0].Next
	inHand := p.pointers()
	p.advanceAll(inHand)
	if err := update.giveDeleted(inHand); err != nil {
		return 0, err
	}
	return affected, update.giveReturned(inHand)
}

// giveMatched gives the caller's model or slice what RETURNING said of rows that it did not name.
func giveMatched(s *rows.Site, returned []reflect.Value) {
	target := s.Stmt.ReflectValue
	if len(returned) == 0 || !target.CanAddr() {
		return
	}
	switch {
	case s.Model.IsModel(target):
		target.Set(returned[0])
	case target.Kind() == reflect.Slice && target.Type().Elem() == s.Model.ModelType:
		target.Set(reflect.Append(target.Slice(0, 0), returned...))
	case target.Kind() == reflect.Slice && target.Type().Elem() == reflect.PointerTo(s.Model.ModelType):
		target.Set(target.Slice(0, 0))
		for _, model := range returned {
			target.Set(reflect.Append(target, model.Addr()))
		}
	}
}

// matching returns the query that finds what the statement's own conditions do.
func (p *plan) matching(conditions ...clause.Expression) *gorm.DB {
	query := p.Session()
	query.Statement.Unscoped = p.Stmt.Unscoped || p.Stmt.Schema == nil // GORM knows of no soft deletes by the name of a table
	if where := p.groupedWhere(conditions).Expression.(clause.Where); len(where.Exprs) > 0 {
		query = query.Clauses(where)
	}
	if from, ok := p.Stmt.Clauses["FROM"].Expression.(clause.From); ok && !p.isDelete() {
		query = query.Clauses(alsoFrom(from))
	}
	if index := p.Stmt.Clauses["UPDATE"].AfterExpression; index != nil && !p.isDelete() {
		query = query.Clauses(clauses.ByIndex{Index: index})
	}
	return query
}

// alsoFrom is the FROM of an UPDATE as that of a SELECT, which names the table of the rows too.
func alsoFrom(from clause.From) clause.From {
	from.Tables = append([]clause.Table{{Name: clause.CurrentTable}}, from.Tables...)
	return from
}

// lockMatched reads the keys and versions of the rows that the statement's conditions match, and keeps them as they are
// until the transaction ends.
func (p *plan) lockMatched() ([]*rows.Row, error) {
	if err := p.LockFirst(); err != nil {
		return nil, err
	}
	var key []clause.Expression
	if p.namesModels() {
		key = []clause.Expression{&rows.Condition{Model: p.Model, Key: p.rows[0].Key}}
	}
	query := p.matching(key...).Clauses(p.Locking(clause.LockingStrengthUpdate))
	for _, name := range []string{"ORDER BY", "LIMIT"} {
		if found, ok := p.Stmt.Clauses[name]; ok && slices.Contains(p.Stmt.BuildClauses, name) {
			query.Statement.Clauses[name] = found
		}
	}
	hand, _, err := readMatching(&p.Site, query)
	return hand, err
}

// readMatching reads the rows that a query finds; each is expected to be at the version that it is at.
func readMatching(s *rows.Site, query *gorm.DB) (hand []*rows.Row, states []rows.State, err error) {
	states, err = s.ReadMatching(query)
	for _, state := range states {
		hand = append(hand, &rows.Row{Model: state.Model, Key: s.AllKeys(state.Model), Before: state.Version, Expected: state.Version})
	}
	return hand, states, err
}

// readOwn reads the rows that the caller's conditions match, past soft deletes.
func (p *plan) readOwn(lock string) ([]*rows.Row, []rows.State, error) {
	query := p.Session()
	if lock != "" {
		query = query.Clauses(p.Locking(lock))
	}
	if own, _ := p.by.Own.Expression.(clause.Where); len(own.Exprs) > 0 {
		query = query.Clauses(clause.Where{Exprs: []clause.Expression{clauses.Group{Conditions: own.Exprs}}})
	}
	return readMatching(&p.Site, query)
}
