package ddl

import (
	"errors"
	"fmt"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/tx"
)

// Schemas compares the tables of models with what their versions need, and changes them.
type Schemas struct {
	*model.Models
	Dialect *dialect.Dialect
}

// Trigger is what the database is to have for a model.
type Trigger struct {
	dialect.Trigger
	Model *model.Model
}

func (p *Schemas) TriggersOf(db *gorm.DB, models []any) ([]Trigger, error) {
	var triggers []Trigger
	for _, value := range models {
		m, table, err := p.ModelOfValue(db, value)
		if err != nil {
			return nil, err
		}
		made, err := p.triggerOf(db, m, table)
		if err != nil {
			return nil, err
		}
		triggers = append(triggers, Trigger{made, m})
	}
	return triggers, nil
}

// ModelOfValue is the model of a value that the caller passed, and its table, which db.Table may name.
func (p *Schemas) ModelOfValue(db *gorm.DB, value any) (*model.Model, dialect.Table, error) {
	stmt := &gorm.Statement{DB: db}
	given, err := tableGiven(db)
	if err != nil {
		return nil, dialect.Table{}, err
	}
	if err := stmt.ParseWithSpecialTableName(value, given); err != nil {
		return nil, dialect.Table{}, fmt.Errorf("occ: %T is no model: %w", value, err)
	}
	m := p.ModelOfSchema(stmt.Schema)
	if m.Err != nil {
		return nil, dialect.Table{}, m.Err
	}
	table, rest, ok := dialect.TableIn(db.Statement.Quote(clause.Table{Name: m.Table}))
	if !ok || rest != "" {
		return nil, dialect.Table{}, fmt.Errorf("occ: model %s: %q is no name of a table", m.Name, m.Table)
	}
	return m, table, nil
}

// tableGiven is the table that the caller has named with db.Table, with its schema; empty where there is none.
func tableGiven(db *gorm.DB) (string, error) {
	expr := db.Statement.TableExpr
	if expr == nil {
		return "", nil
	}
	table, rest, ok := dialect.TableIn(expr.SQL)
	switch {
	case !ok || rest != "" || len(expr.Vars) > 0:
		return "", fmt.Errorf("occ: Table(%q) is no name of a table: give it without an alias", expr.SQL)
	case table.Schema != "":
		return table.Schema + "." + table.Name, nil
	}
	return table.Name, nil
}

// InSchemaChange runs DDL, one such change at a time, and in a transaction where that helps.
func (p *Schemas) InSchemaChange(db *gorm.DB, change func(tx *gorm.DB) error) error {
	session := db.Session(&gorm.Session{NewDB: true, Context: db.Statement.Context})
	lock, unlock := p.Dialect.LockTriggers()
	switch {
	case p.Dialect.DDLInTransactions:
		return session.Transaction(func(tx *gorm.DB) error {
			if err := p.lockSchema(db, tx, lock); err != nil {
				return err
			}
			return change(tx)
		})
	case lock == "" || tx.IsTransaction(db.Statement.ConnPool):
		return change(session)
	}
	return session.Connection(func(tx *gorm.DB) (err error) {
		if err := tx.Exec(lock).Error; err != nil {
			return err
		}
		defer func() { err = errors.Join(err, tx.Exec(unlock).Error) }()
		return change(tx)
	})
}

// lockSchema has a transaction that has just begun change triggers alone.
func (p *Schemas) lockSchema(db, session *gorm.DB, lock string) error {
	if lock != "" {
		return session.Exec(lock).Error
	}
	if tx.IsTransaction(db.Statement.ConnPool) {
		return nil // the caller's own, which has begun
	}
	return ExecEach(session, p.Dialect.LockAtBegin)
}

// ExecEach goes past prepared statements, which do not take DDL on every database.
func ExecEach(tx *gorm.DB, statements []string) error {
	for _, statement := range statements {
		if _, err := rows.Unprepared(tx.Statement.ConnPool).ExecContext(tx.Statement.Context, statement); err != nil {
			return err
		}
	}
	return nil
}

// storedTriggers are the plugin's triggers of the table, and any trigger with the name that this one is to have.
func (p *Schemas) storedTriggers(tx *gorm.DB, t dialect.Trigger) (own []dialect.StoredTrigger, err error) {
	query, args := p.Dialect.TriggersQuery(t)
	var stored []dialect.StoredTrigger
	if err := tx.Raw(query, args...).Scan(&stored).Error; err != nil {
		return nil, err
	}
	for _, s := range stored {
		if s.IsOwn() || p.Dialect.IsNamedFor(s, t) {
			own = append(own, s)
		}
	}
	return own, nil
}

// StaleTriggers are the statements that drop what the tables have under a former name of theirs. It also looks whether
// the tables have what the triggers name, before anything is changed.
func (p *Schemas) StaleTriggers(tx *gorm.DB, triggers []Trigger) (statements []string, err error) {
	for _, t := range triggers {
		if err := p.requireColumns(tx, t); err != nil {
			return nil, err
		}
		stored, err := p.storedTriggers(tx, t.Trigger)
		if err != nil {
			return nil, err
		}
		for _, s := range stored {
			if s.IsOnTable && !p.Dialect.IsNamedFor(s, t.Trigger) {
				statements = append(statements, p.Dialect.DropStored(s, t.Trigger)...)
			}
		}
	}
	return statements, nil
}

// requireColumns says which of the columns that a trigger names are not there: with it, every UPDATE would fail.
func (p *Schemas) requireColumns(tx *gorm.DB, t Trigger) error {
	columns, err := p.columnsOf(tx, t.Table)
	switch {
	case err != nil:
		return err
	case len(columns) == 0:
		return fmt.Errorf("occ: model %s: there is no table %s: migrate first", t.Model.Name, p.Dialect.QuoteTable(t.Table))
	}
	for _, name := range t.names() {
		if _, ok := p.find(columns, name); !ok {
			return fmt.Errorf("occ: model %s, field %s: table %s has no column %q: migrate first",
				t.Model.Name, t.Model.FieldsByDBName[name].Name, p.Dialect.QuoteTable(t.Table), name)
		}
	}
	return nil
}

// names are the columns that the trigger needs.
func (t Trigger) names() []string {
	names := append([]string{t.Version}, t.Key...)
	for _, column := range t.Columns {
		names = append(names, column.Name)
	}
	return names
}

func (p *Schemas) columnsOf(tx *gorm.DB, table dialect.Table) (columns []dialect.Column, err error) {
	query, args := p.Dialect.ColumnsQuery(table)
	err = tx.Raw(query, args...).Scan(&columns).Error
	for i := range columns {
		columns[i].Type = strings.ToLower(columns[i].Type)
	}
	return columns, err
}

func (p *Schemas) find(columns []dialect.Column, name string) (dialect.Column, bool) {
	for _, column := range columns {
		if p.Dialect.SameName(column.Name, name) {
			return column, true
		}
	}
	return dialect.Column{}, false
}

func (p *Schemas) CreateEach(tx *gorm.DB, triggers []Trigger) error {
	for _, t := range triggers {
		statements, err := p.missingTrigger(tx, t.Trigger)
		if err == nil {
			err = ExecEach(tx, statements)
		}
		if err != nil {
			return fmt.Errorf("occ: creating the trigger of %s: %w", p.Dialect.QuoteTable(t.Table), err)
		}
	}
	return nil
}

// missingTrigger are the statements that create a trigger; none where it is there as it should be, since to create it again
// locks the table and disturbs everybody's prepared statements.
func (p *Schemas) missingTrigger(tx *gorm.DB, t dialect.Trigger) ([]string, error) {
	stored, err := p.storedTriggers(tx, t)
	if err != nil {
		return nil, err
	}
	for _, s := range stored {
		if !s.IsOnTable {
			return nil, fmt.Errorf("table %s has a trigger of that name, from before it was renamed: name its model in the same call", s.OnTable)
		}
	}
	if len(stored) == 1 && p.Dialect.Serves(stored[0], t) {
		return nil, nil
	}
	return p.Dialect.CreateTrigger(t), nil
}

func (p *Schemas) DropTrigger(tx *gorm.DB, t Trigger) error {
	stored, err := p.storedTriggers(tx, t.Trigger)
	if err != nil {
		return err
	}
	if len(stored) == 0 { // PostgreSQL's function outlives the table
		return ExecEach(tx, p.Dialect.DropTrigger(t.Trigger))
	}
	for _, s := range stored {
		if !s.IsOnTable {
			continue
		}
		if err := ExecEach(tx, p.Dialect.DropStored(s, t.Trigger)); err != nil {
			return err
		}
	}
	return nil
}

func (p *Schemas) triggerOf(db *gorm.DB, m *model.Model, table dialect.Table) (dialect.Trigger, error) {
	if m.Version == nil || m.Compares() != nil {
		return dialect.Trigger{}, fmt.Errorf("occ: model %s has no version that a trigger could advance", m.Name)
	}
	t := dialect.Trigger{Table: table, Version: m.Version.DBName}
	next, err := p.nextInTrigger(m.Version, clause.Column{Name: "OLD." + db.Statement.Quote(clause.Column{Name: t.Version}), Raw: true})
	if err != nil {
		return t, fmt.Errorf("occ: model %s, field %s: no trigger can advance this version: %w", m.Name, m.Version.Name, err)
	}
	t.Next = inText(db, next)
	if _, counts := m.Version.Kind.(kind.Counter); counts {
		t.First = "1"
	}
	for _, field := range m.PrimaryFields {
		t.Key = append(t.Key, field.DBName)
	}
	for _, name := range m.DBNames {
		if field := m.FieldsByDBName[name]; isVersionedColumn(m, field) {
			t.Columns = append(t.Columns, dialect.WatchedColumn{Name: name, IsDerived: isReadOnly(field)})
		}
	}
	return t, nil
}

// isVersionedColumn reports whether a change of the column makes a new version of the row. What GORM neither writes nor
// migrates is no column of the table, as far as anybody knows.
func isVersionedColumn(m *model.Model, field *schema.Field) bool {
	return field != m.Version.Field && !kind.IsUnversioned(field) && field.AutoUpdateTime == 0 &&
		!(field.IgnoreMigration && isReadOnly(field))
}

func isReadOnly(field *schema.Field) bool { return !field.Creatable && !field.Updatable }

func (p *Schemas) nextInTrigger(version *kind.Field, old clause.Column) (next clause.Expression, err error) {
	switch kind := version.Kind.(type) {
	case kind.Xmin:
		return nil, errors.New("PostgreSQL advances it by itself")
	case kind.Generated:
		return nil, fmt.Errorf("the generator %q is not in the database", kind.Name)
	case kind.Clock:
		next = kind.NextInTrigger(old)
	default:
		next = kind.NextInSQL(old)
	}
	if next == nil {
		return nil, fmt.Errorf("%s cannot make one of type %s", p.Dialect.Name, version.FieldType)
	}
	return next, nil
}

// inText is an expression with its parameters in place, which a trigger cannot have.
func inText(db *gorm.DB, expression clause.Expression) string {
	stmt := &gorm.Statement{DB: db, Clauses: map[string]clause.Clause{}}
	expression.Build(stmt)
	return db.Dialector.Explain(stmt.SQL.String(), stmt.Vars...)
}
