package occ

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/dialect"
)

// CreateTriggers has the database itself advance the versions of the models' rows when something else than the plugin
// changes them: raw SQL, another program, a migration. An UPDATE that changes a versioned column and leaves the version
// alone gets the next version; one that writes the version, as the plugin's do, is left as it is. Columns tagged
// `gorm:"unversioned"` and automatic update times do not count as a change; columns that a model does not have neither.
//
// It is for counters, times and UUIDs, written by the plugin or, with version:database, by the trigger alone. A model
// without a version, or with one that the database cannot make (a generator's, [Xmin]), is an error that names model and
// field, and then nothing is created. Call it after the migration, as often as you like: the second time changes nothing,
// unless the model has. On SQLite and PostgreSQL all of it is done or none. Times that SQLite's trigger writes count
// milliseconds.
func CreateTriggers(db *gorm.DB, models ...any) error {
	p, err := pluginOf(db)
	if err != nil {
		return err
	}
	var triggers []dialect.Trigger
	for _, value := range models {
		m, err := p.modelOfValue(db, value)
		if err != nil {
			return err
		}
		trigger, err := p.triggerOf(db, m)
		if err != nil {
			return err
		}
		triggers = append(triggers, trigger)
	}
	return p.inSchemaChange(db, func(tx *gorm.DB) error {
		for _, trigger := range triggers {
			if err := p.createTrigger(tx, trigger); err != nil {
				return fmt.Errorf("occ: creating the trigger of %s: %w", trigger.Table, err)
			}
		}
		return nil
	})
}

// DropTriggers removes what [CreateTriggers] has created. Where nothing is there it does nothing.
func DropTriggers(db *gorm.DB, models ...any) error {
	p, err := pluginOf(db)
	if err != nil {
		return err
	}
	var statements []string
	for _, value := range models {
		m, err := p.modelOfValue(db, value)
		if err != nil {
			return err
		}
		statements = append(statements, p.dialect.DropTrigger(namedTrigger(db, m.Schema))...)
	}
	return p.inSchemaChange(db, func(tx *gorm.DB) error { return execEach(tx, statements) })
}

// modelOfValue is the model of a value that the caller passed; its table may be named by db.Table.
func (p *engine) modelOfValue(db *gorm.DB, value any) (*model, error) {
	stmt := &gorm.Statement{DB: db}
	if err := stmt.ParseWithSpecialTableName(value, db.Statement.Table); err != nil {
		return nil, fmt.Errorf("occ: %T is no model: %w", value, err)
	}
	m := p.modelOfSchema(stmt.Schema)
	return m, m.err
}

// inSchemaChange runs DDL, in a transaction where that helps.
func (p *engine) inSchemaChange(db *gorm.DB, change func(tx *gorm.DB) error) error {
	session := db.Session(&gorm.Session{NewDB: true, Context: db.Statement.Context})
	if !p.dialect.DDLInTransactions() {
		return change(session)
	}
	return session.Transaction(change)
}

// execEach goes past prepared statements, which do not take DDL on every database.
func execEach(tx *gorm.DB, statements []string) error {
	for _, statement := range statements {
		if _, err := unprepared(tx.Statement.ConnPool).ExecContext(contextOf(tx), statement); err != nil {
			return err
		}
	}
	return nil
}

func contextOf(tx *gorm.DB) context.Context { return tx.Statement.Context }

// createTrigger leaves a trigger alone that is there as it should be: to create it again would disturb everybody's
// prepared statements.
func (p *engine) createTrigger(tx *gorm.DB, trigger dialect.Trigger) error {
	statements := p.dialect.CreateTrigger(trigger)
	if query := p.dialect.StoredTrigger(); query != "" {
		var stored string
		name := strings.Trim(trigger.Name[strings.LastIndex(trigger.Name, ".")+1:], "`\"")
		if err := tx.Raw(query, name).Scan(&stored).Error; err != nil {
			return err
		}
		if stored == statements[len(statements)-1] {
			return nil
		}
	}
	return execEach(tx, statements)
}

func (p *engine) triggerOf(db *gorm.DB, m *model) (dialect.Trigger, error) {
	if m.version == nil || m.version.plan != nil {
		return dialect.Trigger{}, fmt.Errorf("occ: model %s has no version that a trigger could advance", m.Name)
	}
	trigger := namedTrigger(db, m.Schema)
	next, err := p.nextInTrigger(m.version, clause.Column{Name: "OLD." + quoted(db, m.version.DBName), Raw: true})
	if err != nil {
		return trigger, fmt.Errorf("occ: model %s, field %s: no trigger can advance this version: %w", m.Name, m.version.Name, err)
	}
	trigger.Next, trigger.Version = inText(db, next), quoted(db, m.version.DBName)
	for _, field := range m.PrimaryFields {
		trigger.Key = append(trigger.Key, quoted(db, field.DBName))
	}
	for _, name := range m.DBNames {
		if isVersionedColumn(m, m.FieldsByDBName[name]) {
			trigger.Columns = append(trigger.Columns, quoted(db, name))
		}
	}
	return trigger, nil
}

// isVersionedColumn tells a column whose change makes a new version of the row.
func isVersionedColumn(m *model, field *schema.Field) bool {
	return field != m.version.Field && !isUnversioned(field) && !field.IgnoreMigration && field.AutoUpdateTime == 0
}

func (p *engine) nextInTrigger(version *versionField, old clause.Column) (next clause.Expression, err error) {
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
	if next == nil || !p.dialect.HasTriggers() {
		return nil, fmt.Errorf("%s cannot make one of type %s", p.dialect.Name, version.FieldType)
	}
	return next, nil
}

// maxTriggerName is what all databases take for a name, in bytes.
const maxTriggerName = 63

// namedTrigger gives the trigger of a table its names: it is in the table's schema.
func namedTrigger(db *gorm.DB, s *schema.Schema) dialect.Trigger {
	source, table, hasSource := strings.Cut(s.Table, ".")
	if !hasSource {
		source, table = "", s.Table
	}
	name := "occ_version_" + table
	if len(name) > maxTriggerName {
		sum := fnv.New64a()
		_, _ = sum.Write([]byte(name))
		name = fmt.Sprintf("occ_version_%x", sum.Sum64())
	}
	if hasSource {
		name = source + "." + name
	}
	return dialect.Trigger{
		Table: db.Statement.Quote(clause.Table{Name: s.Table}), Unsourced: db.Statement.Quote(clause.Table{Name: table}),
		Name: db.Statement.Quote(clause.Table{Name: name}),
	}
}

func quoted(db *gorm.DB, column string) string {
	return db.Statement.Quote(clause.Column{Name: column})
}

// inText is an expression with its parameters in place, which a trigger cannot have.
func inText(db *gorm.DB, expression clause.Expression) string {
	stmt := &gorm.Statement{DB: db, Clauses: map[string]clause.Clause{}}
	expression.Build(stmt)
	return db.Dialector.Explain(stmt.SQL.String(), stmt.Vars...)
}
