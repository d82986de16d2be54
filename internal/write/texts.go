package write

import (
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/intent"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
)

// choosing runs a write whose expected versions are known or, where they are to be chosen among texts, reads the rows first
// and runs it in the same transaction.
func (c *Call) choosing(write func()) {
	texts := c.switches.Texts
	if texts == nil || c.Model.Version == nil {
		write()
		return
	}
	if _, ok := texts.One(c.Model.Version); ok {
		write()
		return
	}
	c.within(func() error {
		if c.choose(texts) {
			write()
		}
		return c.DB.Error
	})
}

// choose has each row of the write expect the version that it is at, if that is one of the texts. Else it refuses the write
// and returns false. Rows stay as they are until the transaction ends.
func (c *Call) choose(texts *intent.Texts) bool {
	if c.DB.DryRun {
		return true // no row is read: the statement shows the zero value
	}
	isByCondition := c.isByCondition()
	if len(c.rows) == 0 || isByCondition && (c.isCreate || !c.namesRows()) {
		return c.DB.Error == nil
	}
	rows, states, err := c.lockExpected()
	if err != nil {
		c.failRows(c.pointers(), err)
		return false
	}
	if isByCondition {
		return c.chooseMatched(rows, states, c.staleAmong(rows, states, texts), texts)
	}
	return c.chooseAmong(rows, states)
}

// chooseAmong has rows that were read expect the versions that they are at, where what is expected are texts. Where one is at
// none of them it refuses the write and returns false.
func (c *Call) chooseAmong(rows []*rows.Row, states []rows.State) bool {
	texts := c.switches.Texts
	if texts == nil {
		return true
	}
	if _, isOne := texts.One(c.Model.Version); isOne {
		return true
	}
	if stale := c.staleAmong(rows, states, texts); len(stale) > 0 {
		c.refuseTexts(stale, texts)
		return false
	}
	for i, r := range rows {
		r.Expected = states[i].Version
	}
	return true
}

// isByCondition reports whether no row of the write has a key.
func (c *Call) isByCondition() bool {
	return !slices.ContainsFunc(c.rows, func(r rows.Row) bool { return r.Key != nil })
}

// lockExpected reads the rows of the write as they are now and locks them: by their keys or, where it has none, by the
// caller's conditions. Models of a slice that have no key are left out.
func (c *Call) lockExpected() (hand []*rows.Row, states []rows.State, err error) {
	failed := c.DB.Error
	c.DB.Error = nil
	defer func() { c.DB.Error = failed }()
	if err := c.LockFirst(); err != nil {
		return nil, nil, err
	}
	if c.isByCondition() {
		return c.readMatched(clause.LockingStrengthUpdate)
	}
	hand = slices.DeleteFunc(c.pointers(), func(r *rows.Row) bool { return r.Key == nil })
	states, err = c.ReadRows(hand, clause.LockingStrengthUpdate)
	return hand, states, err
}

// staleAmong are the refusals of the rows that are not at one of the texts.
func (c *Call) staleAmong(rows []*rows.Row, states []rows.State, texts *intent.Texts) (stale []conflict.Row) {
	for i, r := range rows {
		if c.isInReach(states[i]) && texts.Holds(c.Model.Version, states[i].Version) {
			continue
		}
		stale = append(stale, conflict.Row{
			Index: r.Index, PrimaryKey: c.NamedKey(r), Expected: texts.Expected(c.Model.Version),
			Actual: states[i].Version, Reason: c.reasonOfText(states[i], texts), Blame: states[i].Blame,
		})
	}
	return stale
}

func (c *Call) reasonOfText(state rows.State, texts *intent.Texts) conflict.Reason {
	switch {
	case !c.isInReach(state):
		return conflict.ReasonDeleted
	case len(texts.Versions) == 0:
		return conflict.ReasonMissing
	}
	return conflict.ReasonChanged
}

// chooseMatched makes the rows that the caller's conditions found those of the write, without the ones at another version.
// None is a refusal, as of one version.
func (c *Call) chooseMatched(rows []*rows.Row, states []rows.State, stale []conflict.Row, texts *intent.Texts) bool {
	kept := c.rows[:0:0]
	for i, r := range rows {
		if c.isInReach(states[i]) && texts.Holds(c.Model.Version, states[i].Version) {
			r.Index, r.Before, r.Expected = len(kept), states[i].Version, states[i].Version
			kept = append(kept, *r)
		}
	}
	if len(kept) == 1 && c.Op != conflict.OpDelete {
		kept[0].Model, kept[0].Before = c.rows[0].Model, c.rows[0].Before
	}
	if len(kept) > 0 {
		c.rows = kept
		return true
	}
	if len(stale) != 1 {
		stale = []conflict.Row{c.absent(texts)}
	}
	c.refuseTexts(stale, texts)
	return false
}

// absent is the refusal of what the conditions are about, where they match no row or more than one.
func (c *Call) absent(texts *intent.Texts) conflict.Row {
	stale := conflict.Row{PrimaryKey: map[string]any{}, Expected: texts.Expected(c.Model.Version), Reason: conflict.ReasonUnknown}
	key := c.keyInConditions()
	if key == nil {
		return stale
	}
	r := &rows.Row{Model: c.rows[0].Model, Key: key}
	stale.PrimaryKey = c.NamedKey(r)
	state, err := c.Read(r)
	switch {
	case err != nil:
	case !c.isInReach(state):
		stale.Actual, stale.Reason = state.Version, conflict.ReasonDeleted
	default:
		stale.Actual = state.Version // other conditions did not hold
	}
	return stale
}

// refuseTexts refuses a write for what ExpectText was given. No version at all is one that was never loaded, whatever the
// row is at.
func (c *Call) refuseTexts(stale []conflict.Row, texts *intent.Texts) {
	c.Counters().Checked.Add(1)
	refusal := &conflict.Refusal{Op: c.Op, Rows: stale, NoVersion: len(texts.Versions) == 0}
	c.fail(refusal)
}

// readMatched reads the rows that the caller's conditions match, past soft deletes, with their keys.
func (c *Call) readMatched(lock string) (hand []*rows.Row, states []rows.State, err error) {
	own, _ := c.Own.Expression.(clause.Where)
	tx := c.Session()
	if lock != "" {
		tx = tx.Clauses(c.Locking(lock))
	}
	selected := append(c.VersionColumns(), c.DeletedInSQL())
	for _, field := range c.Model.PrimaryFields {
		column := clause.Column{Table: clause.CurrentTable, Name: field.DBName}
		selected = append(selected, clause.Expr{SQL: "?", Vars: []any{column}})
	}
	selected = append(selected, c.BlameColumns()...)
	found, err := tx.Clauses(
		clause.Select{Expression: clause.CommaExpression{Exprs: selected}},
		clause.Where{Exprs: []clause.Expression{clauses.Group{Conditions: own.Exprs}}},
	).Rows()
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		version, deleted := c.NewVersionScan(), 0
		key, targets := newKeyScan(c.Model.PrimaryFields), []any{&deleted}
		blame := c.BlameTargets()
		if err := version.Scan(found, slices.Concat(targets, key.targets, blame)...); err != nil {
			return nil, nil, err
		}
		state := rows.State{IsThere: true, IsDeleted: deleted != 0, Holds: true}
		if state.Blame, err = c.BlameIn(blame); err != nil {
			return nil, nil, err
		}
		if state.Version, err = version.Value(); err != nil {
			return nil, nil, err
		}
		model := reflect.New(c.Model.ModelType).Elem()
		if err := key.set(c, model); err != nil {
			return nil, nil, err
		}
		hand, states = append(hand, &rows.Row{Model: model, Key: c.AllKeys(model)}), append(states, state)
	}
	return hand, states, found.Err()
}

// keyScan takes the primary key of one row out of a query.
type keyScan struct {
	fields  []*schema.Field
	targets []any
}

func newKeyScan(fields []*schema.Field) keyScan {
	s := keyScan{fields: fields}
	for _, field := range fields {
		s.targets = append(s.targets, field.NewValuePool.Get())
	}
	return s
}

// set gives a model the key that was scanned.
func (s keyScan) set(w *Call, model reflect.Value) error {
	for i, field := range s.fields {
		if err := field.Set(w.Ctx, model, s.targets[i]); err != nil {
			return err
		}
		field.NewValuePool.Put(s.targets[i])
	}
	return nil
}

// keyInConditions is the primary key that the caller's own conditions name, as in Where("id = ?", id); nil where they name
// none, or not every part of it. Then at most one row is what they are about, whatever else they ask for.
func (c *Call) keyInConditions() []any {
	where, _ := c.Own.Expression.(clause.Where)
	named := namedKey{fields: c.Model.PrimaryFields, values: map[string]any{}}
	if !named.addAll(where.Exprs) || len(named.values) < len(named.fields) || len(named.fields) == 0 {
		return nil
	}
	model := reflect.New(c.Model.ModelType).Elem()
	for _, field := range named.fields {
		if err := field.Set(c.Ctx, model, named.values[field.DBName]); err != nil {
			return nil
		}
	}
	return c.AllKeys(model)
}

// namedKey is what conditions say of a primary key.
type namedKey struct {
	fields []*schema.Field
	values map[string]any // by column
}

// addAll takes conditions that all have to hold; with an OR among them it returns false.
func (k *namedKey) addAll(conditions []clause.Expression) bool {
	for _, condition := range conditions {
		switch c := condition.(type) {
		case clause.OrConditions:
			return false
		case clause.AndConditions:
			if !k.addAll(c.Exprs) {
				return false
			}
		case clause.Eq:
			k.add(c.Column, c.Value)
		case clause.IN:
			if len(c.Values) == 1 {
				k.add(c.Column, c.Values[0])
			}
		case clause.Expr:
			k.addText(c)
		}
	}
	return true
}

func (k *namedKey) add(column, value any) {
	name, _ := column.(string)
	if c, ok := column.(clause.Column); ok {
		name = c.Name
	}
	if name == clause.PrimaryKey && len(k.fields) == 1 {
		name = k.fields[0].DBName
	}
	if clauses.IsExpression(value) {
		return
	}
	for _, field := range k.fields {
		if sameColumn(name, field) {
			k.values[field.DBName] = value
		}
	}
}

// addText takes the conditions that people write for a key: "id = ?", and all the parts of one in their order.
func (k *namedKey) addText(c clause.Expr) {
	text := strings.Join(strings.Fields(model.Unquoted.Replace(c.SQL)), " ")
	var whole []string
	for _, field := range k.fields {
		if name, isPart := strings.CutSuffix(text, " = ?"); isPart && len(c.Vars) == 1 && sameColumn(name, field) {
			k.add(field.DBName, c.Vars[0])
			return
		}
		whole = append(whole, field.DBName+" = ?")
	}
	if strings.EqualFold(text, strings.Join(whole, " AND ")) && len(c.Vars) == len(whole) {
		for i, field := range k.fields {
			k.add(field.DBName, c.Vars[i])
		}
	}
}

// sameColumn reports whether a name, with its table or without, is that of a field's column.
func sameColumn(name string, field *schema.Field) bool {
	name = model.Unquoted.Replace(name)
	return strings.EqualFold(name[strings.LastIndexByte(name, '.')+1:], field.DBName)
}
