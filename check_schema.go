package occ

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/dialect"
)

// CheckSchema compares the database with what the versions of the models need, for a start-up without AutoMigrate: the
// table and the column of the version are there; the column has a type that can hold the versions, and is not narrower than
// the model says; it holds no NULL where the model says NOT NULL, on which AutoMigrate would fail; and a trigger of
// [CreateTriggers], where there is one, is the one that it would make today. It returns nil where all of it fits. Else one
// error names all that does not, each with its model and field and the statement that mends it.
//
// It only reads: the catalog, and for a column that is nullable though it should not be whether there is a NULL, which may
// go through the table. What has no column is not looked at: models without a version, [Snapshot], [Xmin]. Nor is the range
// of what a [Generator] or the database writes. Tables are found as [CreateTriggers] does it.
func CheckSchema(db *gorm.DB, models ...any) error {
	p, err := schemasOf(db)
	if err != nil {
		return err
	}
	var problems []error
	for _, value := range models {
		m, table, err := p.modelOfValue(db, value)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if m.version == nil || m.compares() != nil || m.version.isXmin() {
			continue
		}
		check := schemaCheck{schemas: p, db: db.Session(&gorm.Session{NewDB: true, Context: db.Statement.Context}), model: m, table: table}
		if err := check.run(); err != nil {
			return fmt.Errorf("occ: checking table %s: %w", p.dialect.QuoteTable(table), err)
		}
		problems = append(problems, check.problems...)
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("occ: the schema does not fit the versions:\n%w", errors.Join(problems...))
}

// schemaCheck compares one table with its model.
type schemaCheck struct {
	*schemas
	db       *gorm.DB
	model    *model
	table    dialect.Table
	problems []error
}

// found notes what does not fit, and the statements that mend it.
func (c *schemaCheck) found(mend []string, format string, args ...any) {
	problem := fmt.Sprintf("model %s, field %s: ", c.model.Name, c.model.version.Name) + fmt.Sprintf(format, args...)
	for _, statement := range mend {
		problem += "\n\t" + statement + ";"
	}
	c.problems = append(c.problems, errors.New(problem))
}

// run returns an error only where the database does not answer.
func (c *schemaCheck) run() error {
	columns, err := c.columnsOf(c.db, c.table)
	if err != nil {
		return err
	}
	if len(columns) == 0 {
		c.found(nil, "there is no table %s: migrate first", c.dialect.QuoteTable(c.table))
		return nil
	}
	column, ok := c.find(columns, c.model.version.DBName)
	if !ok {
		c.found([]string{c.alter("ADD COLUMN " + c.column() + " " + c.fullType())}, "table %s has no column %q", c.dialect.QuoteTable(c.table), c.model.version.DBName)
		return nil
	}
	c.checkType(column)
	return errors.Join(c.checkNulls(column), c.checkTriggers())
}

func (c *schemaCheck) column() string {
	return c.dialect.QuoteTable(dialect.Table{Name: c.model.version.DBName})
}

func (c *schemaCheck) alter(how string) string {
	return "ALTER TABLE " + c.dialect.QuoteTable(c.table) + " " + how
}

// fullType is the column's type as a migration writes it, with NOT NULL and its default.
func (c *schemaCheck) fullType() string {
	own := *c.model.version.Field
	full := c.db.Migrator().FullDataTypeOf(&own)
	return c.db.Dialector.Explain(full.SQL, full.Vars...)
}

// checkType minds the kinds whose values the plugin makes itself.
func (c *schemaCheck) checkType(column dialect.Column) {
	if c.model.version.byDatabase {
		return
	}
	switch kind := c.model.version.kind.(type) {
	case counter:
		c.checkCounter(kind, column)
	case clock:
		c.checkClock(kind, column)
	case random:
		c.checkRandom(kind, column)
	}
}

func (c *schemaCheck) checkCounter(kind counter, column dialect.Column) {
	switch {
	case !c.dialect.HoldsIntegers(column.Type):
		c.wrongType(column, "cannot serve a version that counts")
	case c.dialect.LastInteger(column.Type) < kind.last:
		c.wrongType(column, fmt.Sprintf("is too narrow: it ends at %d, the model's versions at %d", c.dialect.LastInteger(column.Type), kind.last))
	}
}

func (c *schemaCheck) checkClock(kind clock, column dialect.Column) {
	digits := unitDigits(kind.unit)
	switch {
	case !c.dialect.HoldsTimes(column.Type):
		c.wrongType(column, "cannot serve a version that is a time")
	case c.dialect.TimeDigits(column.Type) < digits:
		c.wrongType(column, fmt.Sprintf("is too narrow: it keeps %d digits of a second, the model's versions have %d",
			c.dialect.TimeDigits(column.Type), digits))
	}
}

func unitDigits(unit time.Duration) (digits int) {
	for ; unit < time.Second; unit *= 10 {
		digits++
	}
	return digits
}

func (c *schemaCheck) checkRandom(kind random, column dialect.Column) {
	const uuidText, uuidBytes = 36, 16
	switch form := c.dialect.UUIDFormOf(column.Type); {
	case form != kind.form, form == dialect.UUIDText && !c.dialect.HoldsText(column.Type):
		c.wrongType(column, "cannot serve a version that is a UUID as the model has it")
	case form == dialect.UUIDText && c.dialect.MaxLength(column.Type) < uuidText:
		c.wrongType(column, fmt.Sprintf("is too narrow for the %d characters of a UUID", uuidText))
	case form == dialect.UUIDBytes && c.dialect.MaxLength(column.Type) < uuidBytes:
		c.wrongType(column, fmt.Sprintf("is too narrow for the %d bytes of a UUID", uuidBytes))
	}
}

func (c *schemaCheck) wrongType(column dialect.Column, what string) {
	own := *c.model.version.Field
	mend := c.dialect.ChangeType(c.column(), c.db.DataTypeOf(&own), c.fullType())
	if mend == "" {
		c.found(nil, "column %q of table %s is of type %s, which %s; %s cannot change a column's type: make the table anew",
			column.Name, c.dialect.QuoteTable(c.table), column.Type, what, c.dialect.Name)
		return
	}
	c.found([]string{c.alter(mend)}, "column %q of table %s is of type %s, which %s", column.Name, c.dialect.QuoteTable(c.table), column.Type, what)
}

// checkNulls looks for what a migration to NOT NULL would fail on.
func (c *schemaCheck) checkNulls(column dialect.Column) error {
	if !column.IsNullable || !c.model.version.NotNull {
		return nil
	}
	var found []int
	query := fmt.Sprintf("SELECT 1 FROM %s WHERE %s IS NULL LIMIT 1", c.dialect.QuoteTable(c.table), c.column())
	if err := c.db.Raw(query).Scan(&found).Error; err != nil || len(found) == 0 {
		return err
	}
	c.found([]string{c.fill()}, "column %q of table %s holds NULLs, on which a migration to NOT NULL fails", column.Name, c.dialect.QuoteTable(c.table))
	return nil
}

// fill is the statement that gives a version to the rows that have none.
func (c *schemaCheck) fill() string {
	first := "1"
	switch kind := c.model.version.kind.(type) {
	case clock:
		first = "CURRENT_TIMESTAMP"
	case random:
		first = c.dialect.RandomUUID(kind.form)
	}
	return fmt.Sprintf("UPDATE %s SET %s = %s WHERE %[2]s IS NULL", c.dialect.QuoteTable(c.table), c.column(), first)
}

// checkTriggers minds triggers that are there; that there is none is no fault.
func (c *schemaCheck) checkTriggers() error {
	wanted := dialect.Trigger{Table: c.table}
	stored, err := c.storedTriggers(c.db, wanted)
	if err != nil || !hasOnTable(stored) {
		return err
	}
	made, err := c.triggerOf(c.db, c.model, c.table)
	if err != nil {
		c.found(c.dropAll(stored, wanted), "table %s has a trigger of occ's, though %v", c.dialect.QuoteTable(c.table), err)
		return nil
	}
	if err := c.requireColumns(c.db, trigger{made, c.model}); err != nil {
		c.found(nil, "the trigger of table %s cannot run: %v", c.dialect.QuoteTable(c.table), strings.TrimPrefix(err.Error(), "occ: "))
		return nil
	}
	if len(stored) == 1 && c.dialect.Serves(stored[0], made) {
		return nil
	}
	mend := append(c.dropAll(stored, made), c.dialect.CreateTrigger(made)...)
	c.found(mend, "the trigger of table %s does not fit the model, or the name of the table, any more: call CreateTriggers, or run", c.dialect.QuoteTable(c.table))
	return nil
}

func hasOnTable(stored []dialect.StoredTrigger) bool {
	for _, s := range stored {
		if s.IsOnTable {
			return true
		}
	}
	return false
}

// dropAll removes the triggers of the table that do not have the name they should.
func (c *schemaCheck) dropAll(stored []dialect.StoredTrigger, wanted dialect.Trigger) (statements []string) {
	for _, s := range stored {
		if s.IsOnTable && (wanted.Version == "" || !c.dialect.IsNamedFor(s, wanted)) {
			statements = append(statements, c.dialect.DropStored(s, wanted)...)
		}
	}
	return statements
}
