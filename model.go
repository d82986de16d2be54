package occ

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/dialect"
)

// model is what the plugin knows of one of GORM's schemas. It is found out once.
type model struct {
	*schema.Schema
	version *versionField // nil: the model is none of the plugin's business
	err     error         // the model is not usable as it is declared

	snapshot *snapshotPlan // nil: the model embeds no Snapshot
	base     *versionField // the Snapshot, whether it is what is compared or not

	blame          []*schema.Field        // columns that say who wrote a row, and when
	touches        []*schema.Relationship // the parents that a write of the model touches
	keyColumns     []any                  // the columns of the primary key, as WriteQuoted takes them
	hasUnversioned bool                   // some columns are tagged unversioned
	hasTimestamps  bool                   // GORM sets some columns to the current time
	hasHooks       bool
	isLean         bool // its writes can be single statements; see WithLeanTransactions
	isInsertLean   bool // an INSERT reads nothing back but the generated key
	// relations are its associations, apart from the map in which GORM also notes those of models that it parses later
	relations []*schema.Relationship

	reach   sync.Once
	reaches bool // see reachesVersions

	indexes sync.Map // names of indexes by which rows are found, by indexKey
}

// isInvolved tells whether there is anything for the plugin to do when the model is written.
func (m *model) isInvolved() bool { return m.version != nil || len(m.touches) > 0 }

// mayNest tells whether a call may write other models too, through hooks or associations.
func (m *model) mayNest(stmt *gorm.Statement) bool {
	return len(m.relations) > 0 || (m.hasHooks && !stmt.SkipHooks)
}

// reachesVersions tells whether the model has associations and a call that writes them along with it may come to a model
// with a version: else it is GORM's alone, and its transaction too.
func (p *models) reachesVersions(m *model) bool {
	m.reach.Do(func() {
		m.reaches = len(m.relations) > 0 && p.isAnyInvolved(m, map[*schema.Schema]bool{})
	})
	return m.reaches
}

func (p *models) isAnyInvolved(m *model, seen map[*schema.Schema]bool) bool {
	seen[m.Schema] = true
	if m.isInvolved() {
		return true
	}
	for _, relation := range m.relations {
		for _, s := range []*schema.Schema{relation.FieldSchema, relation.JoinTable} {
			if s != nil && !seen[s] && p.isAnyInvolved(p.modelOfSchema(s), seen) {
				return true
			}
		}
	}
	return false
}

// models are the models that the plugin has met.
type models struct {
	*kinds
	snapshots imageHolder
	parse     func(model any) error              // has GORM parse a model, or wait for whoever is doing so
	bySchema  sync.Map                           // *schema.Schema to *model
	byTable   sync.Map                           // table name to *model, the versioned ones
	byName    sync.Map                           // table name without its schema to *model, the versioned ones
	meeting   sync.Mutex                         // some kinds change the field that GORM reads: once, and before anybody uses it
	versions  map[*schema.Schema]declaredVersion // found out while meeting
}

// modelOf is the model that a statement is about, found by its schema or, where it has none of its own, by the table it
// names; nil if the plugin has not met it.
func (p *models) modelOf(stmt *gorm.Statement) *model {
	var m *model
	if stmt.Schema != nil {
		m = p.modelOfSchema(stmt.Schema)
		if m.isInvolved() || m.err != nil {
			return m
		}
	}
	if stmt.TableExpr != nil {
		if named := p.modelOfTable(stmt); named != nil {
			return named
		}
	}
	return m
}

// modelOfTable is the model of the table that a statement names: by itself, with its schema, quoted, or with an alias. A
// model of that very name comes before one of another schema's table.
func (p *models) modelOfTable(stmt *gorm.Statement) *model {
	if stmt.Table == "" { // without a name, columns cannot be told whose they are
		return nil
	}
	name := tableIn(stmt.TableExpr)
	if name == "" {
		name = stmt.Table
	}
	if named, ok := p.byTable.Load(p.tableKey(name)); ok {
		return named.(*model)
	}
	if named, ok := p.byName.Load(p.tableKey(lastPart(name))); ok {
		return named.(*model)
	}
	return nil
}

// tableKey is a table's name as the database finds it.
func (p *models) tableKey(name string) string {
	if p.dialect.FoldsTables() {
		return strings.ToLower(name)
	}
	return name
}

func lastPart(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// remember has a versioned model found by its table.
func (p *models) remember(m *model) {
	p.byTable.LoadOrStore(p.tableKey(m.Table), m)
	p.byName.LoadOrStore(p.tableKey(lastPart(m.Table)), m)
}

// tableIn is the table of an expression that GORM takes for one, without its quotes and its alias; empty where it is none.
func tableIn(expr *clause.Expr) string {
	table, _, ok := dialect.TableIn(expr.SQL)
	switch {
	case !ok:
		return ""
	case table.Schema != "":
		return table.Schema + "." + table.Name
	}
	return table.Name
}

// declaredVersion is what findVersionField says of a schema.
type declaredVersion struct {
	field *versionField
	err   error
}

// versionOf finds a schema's version once: to find it changes how GORM reads the field, which others may be reading
// afterwards. It is called while meeting.
func (p *models) versionOf(s *schema.Schema) (*versionField, error) {
	found, ok := p.versions[s]
	if !ok {
		found.field, found.err = p.findVersionField(s)
		if p.versions == nil {
			p.versions = map[*schema.Schema]declaredVersion{}
		}
		p.versions[s] = found
	}
	return found.field, found.err
}

func (p *models) modelOfSchema(s *schema.Schema) *model {
	if m, ok := p.bySchema.Load(s); ok {
		return m.(*model)
	}
	// reached through an association, it may still be being parsed by another goroutine: its hooks and associations come last
	_ = p.parse(reflect.New(s.ModelType).Interface())
	p.meeting.Lock()
	defer p.meeting.Unlock()
	if m, ok := p.bySchema.Load(s); ok {
		return m.(*model)
	}
	m := &model{
		Schema: s,
		relations: slices.Concat(s.Relationships.BelongsTo, s.Relationships.HasOne,
			s.Relationships.HasMany, s.Relationships.Many2Many),
		hasHooks: s.BeforeCreate || s.AfterCreate || s.BeforeUpdate || s.AfterUpdate ||
			s.BeforeSave || s.AfterSave || s.BeforeDelete || s.AfterDelete,
	}
	for _, field := range s.PrimaryFields {
		m.keyColumns = append(m.keyColumns, clause.Column{Table: clause.CurrentTable, Name: field.DBName})
	}
	m.blame = slices.DeleteFunc(slices.Clone(s.Fields), func(field *schema.Field) bool { return !isBlame(field) })
	m.hasUnversioned = slices.ContainsFunc(s.Fields, isUnversioned)
	m.hasTimestamps = slices.ContainsFunc(s.Fields, func(field *schema.Field) bool { return field.AutoUpdateTime != 0 })
	m.version, m.err = p.versionOf(s)
	p.addSnapshot(m)
	if m.snapshot != nil {
		m.snapshot.dialect = p.dialect
	}
	if m.err == nil {
		m.touches, m.err = p.findTouches(s)
	}
	m.addLean()
	if m.version != nil {
		p.remember(m)
	}
	p.bySchema.Store(s, m)
	return m
}

// meet makes the acquaintance of a model that is read, so that its table is known and a wrong declaration is said early.
func (p *reader) meet(db *gorm.DB) {
	resume(db)
	if db.Statement.Schema == nil {
		return
	}
	m := p.modelOfSchema(db.Statement.Schema)
	if m.err != nil && db.Error == nil && !errors.Is(m.err, errTwoSnapshots) {
		_ = db.AddError(m.err)
	}
	selectXmin(db, m)
}

func (m *model) newModel() any { return reflect.New(m.ModelType).Interface() }

// compares returns the plan of the Snapshot that is compared in the place of a version; nil where there is a version.
func (m *model) compares() *snapshotPlan {
	if m.version == nil || m.version != m.base {
		return nil
	}
	return m.snapshot
}

// addSnapshot finds the model's Snapshot, which stands in for a version where there is none.
func (p *models) addSnapshot(m *model) {
	plan, err := findSnapshot(m.Schema, p.snapshots)
	if err != nil {
		m.err = errors.Join(m.err, fmt.Errorf("occ: model %s: %w", m.Name, err))
	}
	if plan == nil || m.err != nil {
		return
	}
	m.snapshot, m.base = plan, plan.versionField(m.Schema)
	if m.version == nil {
		m.version = m.base
	}
}

const unversionedTag = "UNVERSIONED"

// isUnversioned tells a column whose changes do not count: writing it alone neither compares nor bumps, and writes of
// whole rows leave it out.
func isUnversioned(field *schema.Field) bool {
	_, tagged := field.TagSettings[unversionedTag]
	return tagged
}

// rowCondition is the condition on one row: every part of its key, where GORM leaves out those that are zero and so
// writes other rows, and its version.
type rowCondition struct {
	model      *model
	key        []any
	version    any
	isCompared bool
	bound      [1]any // room for the version as it is sent
}

func (c *rowCondition) Build(builder clause.Builder) {
	for i := range c.key {
		if i > 0 {
			_, _ = builder.WriteString(clause.AndWithSpace)
		}
		writeEq(builder, c.model.keyColumns[i], c.key[i:i+1])
	}
	if !c.isCompared {
		return
	}
	if len(c.key) > 0 {
		_, _ = builder.WriteString(clause.AndWithSpace)
	}
	c.model.version.isAt(builder, c.version, c.bound[:])
}

// writeEq writes what clause.Eq does. A value that stands in a slice already costs no allocation.
func writeEq(builder clause.Builder, column any, value []any) {
	switch value[0].(type) {
	case int, int32, int64, uint, uint32, uint64, string:
		builder.WriteQuoted(column)
		_, _ = builder.WriteString(" = ")
		builder.AddVar(builder, value...)
	default:
		clause.Eq{Column: column, Value: value[0]}.Build(builder)
	}
}

var unquoted = strings.NewReplacer("\"", "", "`", "", "[", "", "]", "")
