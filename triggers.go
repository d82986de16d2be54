package occ

import (
	"errors"
	"fmt"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/dialect"
)

// CreateTriggers has the database itself advance the versions of the models' rows when something else than the plugin
// changes them: raw SQL, another program, a migration. An UPDATE that changes a versioned column and leaves the version
// alone gets the next version; one that writes the version, as the plugin's do, is left as it is. Columns tagged
// `gorm:"unversioned"` and automatic update times do not count as a change; columns that a model does not have neither,
// nor those that GORM neither writes nor migrates (`gorm:"->;-:migration"`), which may be no columns at all.
//
// It is for counters, times and UUIDs, written by the plugin or, with version:database, by the trigger alone. A model
// without a version, or with one that the database cannot make (a generator's, [Xmin]), is an error that names model and
// field; so is a column that is missing in the table. Then nothing is created.
//
// Call it after the migration, as often as you like, from several instances at once. What is there as it should be is left
// alone, so that a second call changes nothing and takes no lock on the tables. Triggers that a model, or a table, has left behind
// under an earlier shape or name are replaced; a table whose former name another one has now has to be in the same call.
// The table is the model's, or the one that db.Table names, with its schema. On SQLite and PostgreSQL all of it is done or
// none; on MariaDB and MySQL each statement commits, also what went before it in a transaction of yours. MariaDB replaces
// a trigger in one step; MySQL drops it first, and an UPDATE in between is not counted. Times that SQLite's trigger writes
// count milliseconds. PostgreSQL has to be 14 or later. [TriggerSQL] has the statements, [CheckSchema] says what does not
// fit.
func CreateTriggers(db *gorm.DB, models ...any) error {
	p, err := schemasOf(db)
	if err != nil {
		return err
	}
	triggers, err := p.triggersOf(db, models)
	if err != nil {
		return err
	}
	return p.inSchemaChange(db, func(tx *gorm.DB) error {
		stale, err := p.staleTriggers(tx, triggers)
		if err != nil {
			return err
		}
		if err := execEach(tx, stale); err != nil {
			return fmt.Errorf("occ: dropping triggers that do not fit any more: %w", err)
		}
		return p.createEach(tx, triggers)
	})
}

// DropTriggers removes what [CreateTriggers] has created, also under a former name of the table. Where nothing is there it
// does nothing. The table is the model's, or the one that db.Table names.
func DropTriggers(db *gorm.DB, models ...any) error {
	p, err := schemasOf(db)
	if err != nil {
		return err
	}
	var triggers []trigger
	for _, value := range models {
		m, table, err := p.modelOfValue(db, value)
		if err != nil {
			return err
		}
		triggers = append(triggers, trigger{model: m, Trigger: dialect.Trigger{Table: table}})
	}
	return p.inSchemaChange(db, func(tx *gorm.DB) error {
		for _, trigger := range triggers {
			if err := p.dropTrigger(tx, trigger); err != nil {
				return fmt.Errorf("occ: dropping the trigger of %s: %w", p.dialect.QuoteTable(trigger.Table), err)
			}
		}
		return nil
	})
}

// TriggerSQL gives the statements that [CreateTriggers] and [DropTriggers] run for these models, in their order, for a
// migration that is reviewed: up creates the triggers or replaces them, down removes them. It takes what they take and
// fails as they do, but sends nothing: it goes by the models alone, so that it neither knows of missing columns nor leaves
// out what is there already, and what a renamed table has left behind is not in it. Each statement is one string, has
// semicolons within it and none at its end: a tool that splits a file at semicolons has to be told where one ends
// (docs/schema.md says how for goose and golang-migrate).
func TriggerSQL(db *gorm.DB, models ...any) (up, down []string, err error) {
	p, err := schemasOf(db)
	if err != nil {
		return nil, nil, err
	}
	triggers, err := p.triggersOf(db, models)
	if err != nil {
		return nil, nil, err
	}
	for _, trigger := range triggers {
		up = append(up, p.dialect.CreateTrigger(trigger.Trigger)...)
		down = append(down, p.dialect.DropTrigger(trigger.Trigger)...)
	}
	return up, down, nil
}

// schemas compares the tables of models with what their versions need, and changes them.
type schemas struct {
	*models
	dialect *dialect.Dialect
}

func schemasOf(db *gorm.DB) (*schemas, error) {
	e, err := engineOf(db)
	if err != nil {
		return nil, err
	}
	return &schemas{models: e.models, dialect: e.dialect}, nil
}

// trigger is what the database is to have for a model.
type trigger struct {
	dialect.Trigger
	model *model
}

func (p *schemas) triggersOf(db *gorm.DB, models []any) ([]trigger, error) {
	var triggers []trigger
	for _, value := range models {
		m, table, err := p.modelOfValue(db, value)
		if err != nil {
			return nil, err
		}
		made, err := p.triggerOf(db, m, table)
		if err != nil {
			return nil, err
		}
		triggers = append(triggers, trigger{made, m})
	}
	return triggers, nil
}

// modelOfValue is the model of a value that the caller passed, and its table, which db.Table may name.
func (p *schemas) modelOfValue(db *gorm.DB, value any) (*model, dialect.Table, error) {
	stmt := &gorm.Statement{DB: db}
	given, err := tableGiven(db)
	if err != nil {
		return nil, dialect.Table{}, err
	}
	if err := stmt.ParseWithSpecialTableName(value, given); err != nil {
		return nil, dialect.Table{}, fmt.Errorf("occ: %T is no model: %w", value, err)
	}
	m := p.modelOfSchema(stmt.Schema)
	if m.err != nil {
		return nil, dialect.Table{}, m.err
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

// inSchemaChange runs DDL, one such change at a time, and in a transaction where that helps.
func (p *schemas) inSchemaChange(db *gorm.DB, change func(tx *gorm.DB) error) error {
	session := db.Session(&gorm.Session{NewDB: true, Context: db.Statement.Context})
	lock, unlock := p.dialect.LockTriggers()
	switch {
	case p.dialect.DDLInTransactions():
		return session.Transaction(func(tx *gorm.DB) error {
			if err := p.lockSchema(db, tx, lock); err != nil {
				return err
			}
			return change(tx)
		})
	case lock == "" || isTransaction(db.Statement.ConnPool):
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
func (p *schemas) lockSchema(db, tx *gorm.DB, lock string) error {
	if lock != "" {
		return tx.Exec(lock).Error
	}
	if isTransaction(db.Statement.ConnPool) {
		return nil // the caller's own, which has begun
	}
	return execEach(tx, p.dialect.LockAtBegin)
}

// execEach goes past prepared statements, which do not take DDL on every database.
func execEach(tx *gorm.DB, statements []string) error {
	for _, statement := range statements {
		if _, err := unprepared(tx.Statement.ConnPool).ExecContext(tx.Statement.Context, statement); err != nil {
			return err
		}
	}
	return nil
}

// storedTriggers are the plugin's triggers of the table, and any trigger with the name that this one is to have.
func (p *schemas) storedTriggers(tx *gorm.DB, t dialect.Trigger) (own []dialect.StoredTrigger, err error) {
	query, args := p.dialect.TriggersQuery(t)
	var stored []dialect.StoredTrigger
	if err := tx.Raw(query, args...).Scan(&stored).Error; err != nil {
		return nil, err
	}
	for _, s := range stored {
		if s.IsOwn() || p.dialect.IsNamedFor(s, t) {
			own = append(own, s)
		}
	}
	return own, nil
}

// staleTriggers are the statements that drop what the tables have under a former name of theirs. It also looks whether
// the tables have what the triggers name, before anything is changed.
func (p *schemas) staleTriggers(tx *gorm.DB, triggers []trigger) (statements []string, err error) {
	for _, t := range triggers {
		if err := p.requireColumns(tx, t); err != nil {
			return nil, err
		}
		stored, err := p.storedTriggers(tx, t.Trigger)
		if err != nil {
			return nil, err
		}
		for _, s := range stored {
			if s.IsOnTable && !p.dialect.IsNamedFor(s, t.Trigger) {
				statements = append(statements, p.dialect.DropStored(s, t.Trigger)...)
			}
		}
	}
	return statements, nil
}

// requireColumns says which of the columns that a trigger names are not there: with it, every UPDATE would fail.
func (p *schemas) requireColumns(tx *gorm.DB, t trigger) error {
	columns, err := p.columnsOf(tx, t.Table)
	switch {
	case err != nil:
		return err
	case len(columns) == 0:
		return fmt.Errorf("occ: model %s: there is no table %s: migrate first", t.model.Name, p.dialect.QuoteTable(t.Table))
	}
	for _, name := range t.names() {
		if _, ok := p.find(columns, name); !ok {
			return fmt.Errorf("occ: model %s, field %s: table %s has no column %q: migrate first",
				t.model.Name, t.model.FieldsByDBName[name].Name, p.dialect.QuoteTable(t.Table), name)
		}
	}
	return nil
}

// names are the columns that the trigger needs.
func (t trigger) names() []string {
	names := append([]string{t.Version}, t.Key...)
	for _, column := range t.Columns {
		names = append(names, column.Name)
	}
	return names
}

func (p *schemas) columnsOf(tx *gorm.DB, table dialect.Table) (columns []dialect.Column, err error) {
	query, args := p.dialect.ColumnsQuery(table)
	err = tx.Raw(query, args...).Scan(&columns).Error
	for i := range columns {
		columns[i].Type = strings.ToLower(columns[i].Type)
	}
	return columns, err
}

func (p *schemas) find(columns []dialect.Column, name string) (dialect.Column, bool) {
	for _, column := range columns {
		if p.dialect.SameName(column.Name, name) {
			return column, true
		}
	}
	return dialect.Column{}, false
}

func (p *schemas) createEach(tx *gorm.DB, triggers []trigger) error {
	for _, t := range triggers {
		statements, err := p.missingTrigger(tx, t.Trigger)
		if err == nil {
			err = execEach(tx, statements)
		}
		if err != nil {
			return fmt.Errorf("occ: creating the trigger of %s: %w", p.dialect.QuoteTable(t.Table), err)
		}
	}
	return nil
}

// missingTrigger are the statements that create a trigger; none where it is there as it should be, since to create it again
// locks the table and disturbs everybody's prepared statements.
func (p *schemas) missingTrigger(tx *gorm.DB, t dialect.Trigger) ([]string, error) {
	stored, err := p.storedTriggers(tx, t)
	if err != nil {
		return nil, err
	}
	for _, s := range stored {
		if !s.IsOnTable {
			return nil, fmt.Errorf("table %s has a trigger of that name, from before it was renamed: name its model in the same call", s.OnTable)
		}
	}
	if len(stored) == 1 && p.dialect.Serves(stored[0], t) {
		return nil, nil
	}
	return p.dialect.CreateTrigger(t), nil
}

func (p *schemas) dropTrigger(tx *gorm.DB, t trigger) error {
	stored, err := p.storedTriggers(tx, t.Trigger)
	if err != nil {
		return err
	}
	if len(stored) == 0 { // PostgreSQL's function outlives the table
		return execEach(tx, p.dialect.DropTrigger(t.Trigger))
	}
	for _, s := range stored {
		if !s.IsOnTable {
			continue
		}
		if err := execEach(tx, p.dialect.DropStored(s, t.Trigger)); err != nil {
			return err
		}
	}
	return nil
}

func (p *schemas) triggerOf(db *gorm.DB, m *model, table dialect.Table) (dialect.Trigger, error) {
	if m.version == nil || m.compares() != nil {
		return dialect.Trigger{}, fmt.Errorf("occ: model %s has no version that a trigger could advance", m.Name)
	}
	t := dialect.Trigger{Table: table, Version: m.version.DBName}
	next, err := p.nextInTrigger(m.version, clause.Column{Name: "OLD." + db.Statement.Quote(clause.Column{Name: t.Version}), Raw: true})
	if err != nil {
		return t, fmt.Errorf("occ: model %s, field %s: no trigger can advance this version: %w", m.Name, m.version.Name, err)
	}
	t.Next = inText(db, next)
	if _, counts := m.version.kind.(counter); counts {
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

// isVersionedColumn tells a column whose change makes a new version of the row. What GORM neither writes nor migrates is no
// column of the table, as far as anybody knows.
func isVersionedColumn(m *model, field *schema.Field) bool {
	return field != m.version.Field && !isUnversioned(field) && field.AutoUpdateTime == 0 &&
		!(field.IgnoreMigration && isReadOnly(field))
}

func isReadOnly(field *schema.Field) bool { return !field.Creatable && !field.Updatable }

func (p *schemas) nextInTrigger(version *versionField, old clause.Column) (next clause.Expression, err error) {
	switch kind := version.kind.(type) {
	case xmin:
		return nil, errors.New("PostgreSQL advances it by itself")
	case generatorKind:
		return nil, fmt.Errorf("the generator %q is not in the database", kind.name)
	case clock:
		next = kind.nextInTrigger(old)
	default:
		next = kind.nextInSQL(old)
	}
	if next == nil {
		return nil, fmt.Errorf("%s cannot make one of type %s", p.dialect.Name, version.FieldType)
	}
	return next, nil
}

// inText is an expression with its parameters in place, which a trigger cannot have.
func inText(db *gorm.DB, expression clause.Expression) string {
	stmt := &gorm.Statement{DB: db, Clauses: map[string]clause.Clause{}}
	expression.Build(stmt)
	return db.Dialector.Explain(stmt.SQL.String(), stmt.Vars...)
}
