package occ

// Nothing here is generated: what the functions of a file of this name send is logged with the line of their caller, see
// [gorm.io/gorm/utils.CallerFrame].

import (
	"fmt"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/ddl"
	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/session"
)

// CreateTriggers creates triggers that advance the versions of the models' rows when something other than the plugin changes
// them: raw SQL, another program, a migration. An UPDATE that changes a versioned column and leaves the version
// alone gets the next version; one that writes the version, as the plugin's do, is left as it is. Columns tagged
// `gorm:"unversioned"` and automatic update times do not count as a change. Neither do columns that a model does not
// have, nor fields that GORM neither writes nor migrates (`gorm:"->;-:migration"`), since they may not be columns at all.
//
// It serves counters, times and UUIDs, written by the plugin or, with version:database, by the trigger alone. A model without a
// version, or with one that the database cannot make (a generator's, [Xmin]), is an error that names model and field. So is a
// column that is missing in the table. After such an error nothing is created.
//
// Call it after the migration, as often as you like, from several instances at once. What is there as it should be is left
// alone, so that a second call changes nothing and takes no lock on the tables. Triggers that a model, or a table, has left behind
// under an earlier shape or name are replaced. If a table was renamed and another one has its former name now, name the models of
// both in the same call.
// The table is the model's, or the one that db.Table names, with its schema. On SQLite and PostgreSQL all of it is done or
// none; on MariaDB and MySQL each statement commits, also what went before it in a transaction of yours. MariaDB replaces
// a trigger in one step; MySQL drops it first, and an UPDATE in between leaves the version as it is. Times that SQLite's
// trigger writes have milliseconds. PostgreSQL has to be 14 or later. [TriggerSQL] has the statements, [CheckSchema] says what does not
// fit.
func CreateTriggers(db *gorm.DB, models ...any) error {
	return withSchemas(db, func(db *gorm.DB, p *ddl.Schemas) error {
		triggers, err := p.TriggersOf(db, models)
		if err != nil {
			return err
		}
		return p.InSchemaChange(db, func(tx *gorm.DB) error {
			stale, err := p.StaleTriggers(tx, triggers)
			if err != nil {
				return err
			}
			if err := ddl.ExecEach(tx, stale); err != nil {
				return fmt.Errorf("occ: dropping triggers that do not fit any more: %w", err)
			}
			return p.CreateEach(tx, triggers)
		})
	})
}

// DropTriggers removes what [CreateTriggers] has created, also under a former name of the table. Where nothing is there it
// does nothing. The table is the model's, or the one that db.Table names.
func DropTriggers(db *gorm.DB, models ...any) error {
	return withSchemas(db, func(db *gorm.DB, p *ddl.Schemas) error {
		var triggers []ddl.Trigger
		for _, value := range models {
			m, table, err := p.ModelOfValue(db, value)
			if err != nil {
				return err
			}
			triggers = append(triggers, ddl.Trigger{Model: m, Trigger: dialect.Trigger{Table: table}})
		}
		return p.InSchemaChange(db, func(tx *gorm.DB) error {
			for _, trigger := range triggers {
				if err := p.DropTrigger(tx, trigger); err != nil {
					return fmt.Errorf("occ: dropping the trigger of %s: %w", p.Dialect.QuoteTable(trigger.Table), err)
				}
			}
			return nil
		})
	})
}

// TriggerSQL gives the statements that [CreateTriggers] and [DropTriggers] run for these models, in their order, for a
// migration that is reviewed: up creates or replaces the triggers, down removes them. It takes the same models and fails for the
// same ones, but sends nothing. It knows only the models: it does not notice missing columns, does not leave out triggers that
// exist already, and does not remove those that a renamed table has left behind. Each statement is one string, has
// semicolons within it and none at its end: a tool that splits a file at semicolons has to be told where one ends
// (docs/schema.md says how for goose and golang-migrate).
func TriggerSQL(db *gorm.DB, models ...any) (up, down []string, err error) {
	p, err := schemasOf(db)
	if err != nil {
		return nil, nil, err
	}
	triggers, err := p.TriggersOf(db, models)
	if err != nil {
		return nil, nil, err
	}
	for _, trigger := range triggers {
		up = append(up, p.Dialect.CreateTrigger(trigger.Trigger)...)
		down = append(down, p.Dialect.DropTrigger(trigger.Trigger)...)
	}
	return up, down, nil
}

// withSchemas runs do, and logs what it has sent when it has ended.
func withSchemas(db *gorm.DB, do func(db *gorm.DB, p *ddl.Schemas) error) error {
	log := &session.Log{}
	db = log.KeepOf(db)
	defer log.Flush()
	p, err := schemasOf(db)
	if err != nil {
		return err
	}
	return do(db, p)
}

func schemasOf(db *gorm.DB) (*ddl.Schemas, error) {
	e, err := engineOf(db)
	if err != nil {
		return nil, err
	}
	return &ddl.Schemas{Models: e.Models, Dialect: e.Dialect}, nil
}
