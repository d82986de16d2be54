package model

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
	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/snapshot"
)

// Model is what the plugin knows of one of GORM's schemas.
type Model struct {
	*schema.Schema
	Version *kind.Field // nil: the model is none of the plugin's business
	Err     error       // the model is not usable as it is declared

	Snapshot *snapshot.Plan // nil: the model embeds no Snapshot
	Base     *kind.Field    // the Snapshot, whether it is what is compared or not

	Blame              []*schema.Field        // columns that say who wrote a row, and when
	Touches            []*schema.Relationship // the parents that a write of the model touches
	KeyColumns         []any                  // the columns of the primary key, as WriteQuoted takes them
	HasUnversioned     bool                   // some columns are tagged unversioned
	HasTimestamps      bool                   // GORM sets some columns to the current time
	hasHooks           bool
	IsLean             bool // its writes can be single statements; see WithLeanTransactions
	HasPlainStatements bool // the statement of one row can be one whose text is kept
	IsInsertLean       bool // an INSERT reads nothing back but the generated key
	// relations are its associations, apart from the map in which GORM also notes those of models that it parses later
	Relations []*schema.Relationship

	reach   sync.Once
	reaches bool // see ReachesVersions

	Indexes     sync.Map // names of indexes by which rows are found, by indexKey
	Elements    sync.Map // what a table's columns take as elements of arrays, by its name
	Partitioned sync.Map // whether a table is divided into partitions, by its name
	Stored      sync.Map // the kind of version as the column of a table holds it, by the table's name
	Texts       Texts    // of the plain statements that write one row
}

// IsInvolved reports whether there is anything for the plugin to do when the model is written.
func (m *Model) IsInvolved() bool { return m.Version != nil || len(m.Touches) > 0 }

// MayNest reports whether a call may write other models too, through hooks or associations.
func (m *Model) MayNest(stmt *gorm.Statement) bool {
	return len(m.Relations) > 0 || (m.hasHooks && !stmt.SkipHooks)
}

// ReachesVersions reports whether a call that writes the model with its associations may write a model with a version. Else the
// plugin leaves the call and its transaction to GORM.
func (ms *Models) ReachesVersions(m *Model) bool {
	m.reach.Do(func() {
		m.reaches = len(m.Relations) > 0 && ms.isAnyInvolved(m, map[*schema.Schema]bool{})
	})
	return m.reaches
}

func (ms *Models) isAnyInvolved(m *Model, seen map[*schema.Schema]bool) bool {
	seen[m.Schema] = true
	if m.IsInvolved() {
		return true
	}
	for _, relation := range m.Relations {
		for _, s := range []*schema.Schema{relation.FieldSchema, relation.JoinTable} {
			if s != nil && !seen[s] && ms.isAnyInvolved(ms.ModelOfSchema(s), seen) {
				return true
			}
		}
	}
	return false
}

// Models are the models that the plugin knows.
type Models struct {
	*kind.Kinds
	Snapshots snapshot.Holder
	Parse     func(model any) error              // has GORM parse a model, or wait for whoever is doing so
	bySchema  sync.Map                           // *schema.Schema to *model
	byTable   sync.Map                           // table name to *model, of those that are involved
	byName    sync.Map                           // table name without its schema to *model, of those that are involved
	adding    sync.Mutex                         // some kinds change the field that GORM reads: once, and before anybody uses it
	versions  map[*schema.Schema]declaredVersion // found out while adding
}

// ModelOf returns the model that a statement is about. It is found by its schema or, where the statement has none of its own, by
// the table that it names. It is nil if the plugin does not know it.
func (ms *Models) ModelOf(stmt *gorm.Statement) *Model {
	var m *Model
	if stmt.Schema != nil {
		m = ms.ModelOfSchema(stmt.Schema)
		if m.IsInvolved() || m.Err != nil {
			return m
		}
	}
	if stmt.TableExpr != nil {
		if named := ms.modelOfTable(stmt); named != nil {
			return named
		}
	}
	return m
}

// modelOfTable is the model of the table that a statement names: by itself, with its schema, quoted, or with an alias. A
// model of that very name comes before one of another schema's table.
func (ms *Models) modelOfTable(stmt *gorm.Statement) *Model {
	name := tableIn(stmt.TableExpr)
	if stmt.Table == "" && isWhole(stmt.TableExpr) { // GORM takes no name out of one in quotes
		stmt.Table = lastPart(name)
	}
	if stmt.Table == "" { // without a name it is not known whose the columns are
		return nil
	}
	if name == "" {
		name = stmt.Table
	}
	if named, ok := ms.byTable.Load(ms.tableKey(name)); ok {
		return named.(*Model)
	}
	if named, ok := ms.byName.Load(ms.tableKey(lastPart(name))); ok {
		return named.(*Model)
	}
	return nil
}

// tableKey is a table's name as the database finds it.
func (ms *Models) tableKey(name string) string {
	if ms.Dialect.FoldsTables {
		return strings.ToLower(name)
	}
	return name
}

func lastPart(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// remember has a model found by its table.
func (ms *Models) remember(m *Model) {
	rememberAs(&ms.byTable, ms.tableKey(m.Table), m)
	rememberAs(&ms.byName, ms.tableKey(lastPart(m.Table)), m)
}

// rememberAs keeps the first model of a name, unless it has no version and m has one. Its caller holds ms.adding.
func rememberAs(models *sync.Map, name string, m *Model) {
	first, isTaken := models.LoadOrStore(name, m)
	if isTaken && first.(*Model).Version == nil && m.Version != nil {
		models.Store(name, m)
	}
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

// isWhole reports whether an expression is a table's name and no more: no alias, no sub-query.
func isWhole(expr *clause.Expr) bool {
	_, rest, ok := dialect.TableIn(expr.SQL)
	return ok && strings.TrimSpace(rest) == "" && len(expr.Vars) == 0
}

// declaredVersion is what findVersionField says of a schema.
type declaredVersion struct {
	field *kind.Field
	err   error
}

// versionOf finds a schema's version once: to find it changes how GORM reads the field, which others may be reading
// afterwards. Its caller holds ms.adding.
func (ms *Models) versionOf(s *schema.Schema) (*kind.Field, error) {
	found, ok := ms.versions[s]
	if !ok {
		found.field, found.err = ms.FindVersionField(s)
		if ms.versions == nil {
			ms.versions = map[*schema.Schema]declaredVersion{}
		}
		ms.versions[s] = found
	}
	return found.field, found.err
}

func (ms *Models) ModelOfSchema(s *schema.Schema) *Model {
	if m, ok := ms.bySchema.Load(s); ok {
		return m.(*Model)
	}
	// reached through an association, it may still be being parsed by another goroutine: its hooks and associations come last
	_ = ms.Parse(reflect.New(s.ModelType).Interface())
	ms.adding.Lock()
	defer ms.adding.Unlock()
	if m, ok := ms.bySchema.Load(s); ok {
		return m.(*Model)
	}
	m := &Model{
		Schema: s,
		Relations: slices.Concat(s.Relationships.BelongsTo, s.Relationships.HasOne,
			s.Relationships.HasMany, s.Relationships.Many2Many),
		hasHooks: s.BeforeCreate || s.AfterCreate || s.BeforeUpdate || s.AfterUpdate ||
			s.BeforeSave || s.AfterSave || s.BeforeDelete || s.AfterDelete,
	}
	for _, field := range s.PrimaryFields {
		m.KeyColumns = append(m.KeyColumns, clause.Column{Table: clause.CurrentTable, Name: field.DBName})
	}
	m.Blame = slices.DeleteFunc(slices.Clone(s.Fields), func(field *schema.Field) bool { return !isBlame(field) })
	m.HasUnversioned = slices.ContainsFunc(s.Fields, kind.IsUnversioned)
	m.HasTimestamps = slices.ContainsFunc(s.Fields, func(field *schema.Field) bool { return field.AutoUpdateTime != 0 })
	m.Version, m.Err = ms.versionOf(s)
	ms.addSnapshot(m)
	if m.Snapshot != nil {
		m.Snapshot.Dialect = ms.Dialect
	}
	if m.Err == nil {
		m.Touches, m.Err = ms.findTouches(s)
	}
	m.addLean()
	if m.IsInvolved() {
		ms.remember(m)
	}
	ms.bySchema.Store(s, m)
	return m
}

// IsModel reports whether a value is a model of this type.
func (m *Model) IsModel(value reflect.Value) bool {
	return value.Kind() == reflect.Struct && value.Type() == m.ModelType
}

// IsVersionColumn reports whether a name is the version's column, by any name that GORM or the database takes for it.
func (m *Model) IsVersionColumn(name string) bool {
	if m.Version == nil || m.Version.DBName == "" {
		return false
	}
	if field := m.FieldOf(name); field != nil {
		return field.DBName == m.Version.DBName
	}
	return strings.EqualFold(bareName(name), m.Version.DBName)
}

// FieldOf returns the field of a column, by any name that GORM or the database takes for it; nil where there is none.
func (m *Model) FieldOf(name string) *schema.Field {
	if field := m.LookUpField(name); field != nil {
		return field
	}
	name = bareName(name)
	for _, column := range m.DBNames {
		if strings.EqualFold(column, name) {
			return m.FieldsByDBName[column]
		}
	}
	return nil
}

// bareName is a column's name without what databases take too, and GORM's schema does not: quotes, and the table before it.
func bareName(name string) string {
	name = Unquoted.Replace(name)
	return name[strings.LastIndexByte(name, '.')+1:]
}

func (m *Model) NewModel() any { return reflect.New(m.ModelType).Interface() }

// Compares returns the plan of the Snapshot that is compared in the place of a version; nil where there is a version.
func (m *Model) Compares() *snapshot.Plan {
	if m.Version == nil || m.Version != m.Base {
		return nil
	}
	return m.Snapshot
}

// addSnapshot finds the model's Snapshot, which stands in for a version where there is none.
func (ms *Models) addSnapshot(m *Model) {
	plan, err := snapshot.Find(m.Schema, ms.Snapshots)
	if err != nil {
		m.Err = errors.Join(m.Err, fmt.Errorf("occ: model %s: %w", m.Name, err))
	}
	if plan == nil || m.Err != nil {
		return
	}
	m.Snapshot, m.Base = plan, plan.VersionField(m.Schema)
	if m.Version == nil {
		m.Version = m.Base
	}
}

var Unquoted = strings.NewReplacer("\"", "", "`", "", "[", "", "]", "")
