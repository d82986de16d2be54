package write

import (
	"reflect"
	"slices"

	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/snapshot"
	"github.com/gorm-occ/occ/internal/tx"
	"github.com/gorm-occ/occ/internal/value"
)

// giveReturned gives the models of rows the columns that the caller asked RETURNING for.
func (p *plan) giveReturned(returned []reflect.Value, hand []*rows.Row) error {
	if len(returned) == 0 {
		return nil
	}
	fields, byKey := p.by.Fields(p.Model), make(map[string]reflect.Value, len(returned))
	for _, model := range returned {
		byKey[value.KeyText(p.KeyBy(fields, model))] = model
	}
	for _, r := range hand {
		model, ok := byKey[value.KeyText(r.Key)]
		if !ok {
			continue
		}
		if err := p.giveAsked(model, r); err != nil {
			return err
		}
	}
	return nil
}

// giveAsked gives the models of a row the columns that the caller asked RETURNING for.
func (c *Call) giveAsked(returned reflect.Value, r *rows.Row) error {
	given, asked := c.before.of("RETURNING")
	if !asked {
		return nil
	}
	returning, _ := given.Expression.(clause.Returning)
	return copyColumns(&c.Site, returning.Columns, returned, r)
}

// copyColumns copies columns, all of them where none is named, from a model to those of a row. The version is not copied:
// it is advanced.
func copyColumns(s *rows.Site, columns []clause.Column, from reflect.Value, to *rows.Row) error {
	names := make([]string, 0, len(columns))
	for _, column := range columns {
		names = append(names, column.Name)
	}
	if len(names) == 0 || slices.Contains(names, "*") {
		names = s.Model.DBNames
	}
	for _, name := range names {
		field := s.Model.LookUpField(name)
		if field == nil || !field.Readable || field == s.Model.Version.Field {
			continue
		}
		value, _ := field.ValueOf(s.Ctx, from)
		for _, r := range to.All() {
			if !r.Model.CanAddr() {
				continue
			}
			if err := field.Set(s.Ctx, r.Model, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// learnInserted gives models the versions of the rows that were inserted for them.
func (p *plan) learnInserted() error {
	var inserted []*rows.Row
	for i := range p.rows {
		r := &p.rows[i]
		if r.Key = p.KeyOf(r.Model); r.Key != nil {
			inserted = append(inserted, r)
		}
	}
	return p.learnVersions(inserted)
}

// readNext reads the versions that the database has given rows.
func (p *plan) readNext(hand []*rows.Row) error {
	states, err := p.read(hand)
	if err != nil {
		return err
	}
	for i, r := range hand {
		r.Next = states[i].Version
	}
	return nil
}

// learnUnchanged is for a row that may hold already what it was to be set to, so that it was not counted. Where there were
// conditions too, they may not have held, and the model must not learn a version that goes with values it has never seen.
func (p *plan) learnUnchanged(r *rows.Row) error {
	if !p.mayBeUnchanged() || p.by.HasOwnConditions() || r.Key == nil || !r.Model.CanAddr() {
		return nil
	}
	state, err := p.Read(r.Key)
	if err == nil && isInReach(p.Stmt, state) {
		p.advance(r, p.compare.learned(r, state.Version))
	}
	return err
}

// learnVersion gives the models of a row the version that it has now.
func (p *plan) learnVersion(r *rows.Row) error {
	named := slices.IndexFunc(r.All(), func(r *rows.Row) bool { return r.Key != nil && r.Model.CanAddr() })
	if named < 0 {
		return nil
	}
	key := r.All()[named].Key
	if p.renames {
		key = p.KeyOf(r.All()[named].Model) // GORM has given it the new one
	}
	state, err := p.Read(key)
	if err == nil && state.IsThere {
		p.advance(r, p.compare.learned(r, state.Version))
	}
	return err
}

// followStored locks rows and gives each the version after the stored one as its next. Rows that are gone are left out.
func (p *plan) followStored(hand []*rows.Row) (there []*rows.Row, err error) {
	states, err := p.lock(hand)
	if err != nil {
		return nil, err
	}
	for i, r := range hand {
		if !states[i].IsThere {
			continue
		}
		if err = p.SetNextAfter(r, states[i].Version); err != nil {
			return nil, err
		}
		there = append(there, r)
	}
	return there, nil
}

// learnVersions gives the models of rows the versions that the rows have now, in the transaction that wrote them.
func (p *plan) learnVersions(hand []*rows.Row) error {
	states, err := p.read(hand)
	if err != nil {
		return err
	}
	for i, r := range hand {
		if r.Next = p.compare.learned(r, states[i].Version); states[i].IsThere {
			p.advance(r, r.Next)
		}
	}
	return nil
}

// learnSnapshot gives a model that was written the row as it is stored now; stored is nil where the statement did not give it.
func (p *plan) learnSnapshot(r *rows.Row, stored any) (err error) {
	if !r.Model.CanAddr() {
		return nil
	}
	if stored == nil {
		stored, err = storedSnapshot(&p.Site, p.KeyOf(r.Model))
	}
	if err == nil {
		p.advance(r, p.compare.learned(r, stored))
	}
	return err
}

// storedSnapshot reads a row; what is not there has no snapshot.
func storedSnapshot(s *rows.Site, key []any) (*snapshot.Image, error) {
	if key == nil {
		return nil, nil
	}
	state, err := s.Read(key)
	image, _ := state.Version.(*snapshot.Image)
	return image, err
}

// learnBase gives a model that has a version its Snapshot after a write. Outside a transaction the row could be somebody
// else's by now, and nothing is known.
func (c *Call) learnBase(r *rows.Row) error {
	if c.Model.Base == nil || !r.Model.CanAddr() || !tx.IsTransaction(c.Stmt.ConnPool) {
		return nil
	}
	found := c.Model.MakeSlice()
	condition := clause.Where{Exprs: []clause.Expression{&rows.Condition{Model: c.Model, Key: c.KeyOf(r.Model)}}}
	err := c.Session().Clauses(condition).Find(found.Interface()).Error
	if err == nil && found.Elem().Len() == 1 {
		c.putBase(r.Model, c.Model.Snapshot.Of(found.Elem().Index(0)))
	}
	return err
}
