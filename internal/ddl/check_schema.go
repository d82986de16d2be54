package ddl

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/model"
)

// Check compares one table with its model.
type Check struct {
	*Schemas
	DB       *gorm.DB
	Model    *model.Model
	Table    dialect.Table
	Problems []error
}

// found notes what does not fit, and the statements that mend it.
func (c *Check) found(mend []string, format string, args ...any) {
	problem := fmt.Sprintf("model %s, field %s: ", c.Model.Name, c.Model.Version.Name) + fmt.Sprintf(format, args...)
	for _, statement := range mend {
		problem += "\n\t" + statement + ";"
	}
	c.Problems = append(c.Problems, errors.New(problem))
}

// Run returns an error only where the database does not answer.
func (c *Check) Run() error {
	columns, err := c.columnsOf(c.DB, c.Table)
	if err != nil {
		return err
	}
	if len(columns) == 0 {
		c.found(nil, "there is no table %s: migrate first", c.Dialect.QuoteTable(c.Table))
		return nil
	}
	column, ok := c.find(columns, c.Model.Version.DBName)
	if !ok {
		c.found([]string{c.alter("ADD COLUMN " + c.column() + " " + c.fullType())}, "table %s has no column %q", c.Dialect.QuoteTable(c.Table), c.Model.Version.DBName)
		return nil
	}
	c.checkType(column)
	return errors.Join(c.checkNulls(column), c.checkTriggers())
}

func (c *Check) column() string {
	return quoteColumn(c.Dialect, c.Model.Version.DBName)
}

func (c *Check) alter(how string) string {
	return "ALTER TABLE " + c.Dialect.QuoteTable(c.Table) + " " + how
}

// fullType is the column's type as a migration writes it, with NOT NULL and its default.
func (c *Check) fullType() string {
	own := *c.Model.Version.Field
	full := c.DB.Migrator().FullDataTypeOf(&own)
	return c.DB.Dialector.Explain(full.SQL, full.Vars...)
}

// checkType minds the kinds whose values the plugin makes itself.
func (c *Check) checkType(column dialect.Column) {
	if c.Model.Version.ByDatabase {
		return
	}
	switch kind := c.Model.Version.Kind.(type) {
	case kind.Counter:
		c.checkCounter(kind, column)
	case kind.Clock:
		c.checkClock(kind, column)
	case kind.Random:
		c.checkRandom(kind, column)
	}
}

func (c *Check) checkCounter(kind kind.Counter, column dialect.Column) {
	switch {
	case !c.Dialect.HoldsIntegers(column.Type):
		c.wrongType(column, "cannot serve a version that counts")
	case c.Dialect.LastInteger(column.Type) < kind.Last:
		c.wrongType(column, fmt.Sprintf("is too narrow: it ends at %d, the model's versions at %d", c.Dialect.LastInteger(column.Type), kind.Last))
	}
}

func (c *Check) checkClock(kind kind.Clock, column dialect.Column) {
	digits := unitDigits(kind.Unit)
	switch {
	case !c.Dialect.HoldsTimes(column.Type):
		c.wrongType(column, "cannot serve a version that is a time")
	case c.Dialect.TimeDigits(column.Type) < digits:
		c.wrongType(column, fmt.Sprintf("is too narrow: it keeps %d digits of a second, the model's versions have %d",
			c.Dialect.TimeDigits(column.Type), digits))
	}
}

func unitDigits(unit time.Duration) (digits int) {
	for ; unit < time.Second; unit *= 10 {
		digits++
	}
	return digits
}

func (c *Check) checkRandom(kind kind.Random, column dialect.Column) {
	const uuidText, uuidBytes = 36, 16
	switch form := c.Dialect.UUIDFormOf(column.Type); {
	case form != kind.Form, form == dialect.UUIDText && !c.Dialect.HoldsText(column.Type):
		c.wrongType(column, "cannot serve a version that is a UUID as the model has it")
	case form == dialect.UUIDText && c.Dialect.MaxLength(column.Type) < uuidText:
		c.wrongType(column, fmt.Sprintf("is too narrow for the %d characters of a UUID", uuidText))
	case form == dialect.UUIDBytes && c.Dialect.MaxLength(column.Type) < uuidBytes:
		c.wrongType(column, fmt.Sprintf("is too narrow for the %d bytes of a UUID", uuidBytes))
	}
}

func (c *Check) wrongType(column dialect.Column, what string) {
	own := *c.Model.Version.Field
	mend := c.Dialect.ChangeType(c.column(), c.DB.DataTypeOf(&own), c.fullType())
	if mend == "" {
		c.found(nil, "column %q of table %s is of type %s, which %s; %s cannot change a column's type: make the table anew",
			column.Name, c.Dialect.QuoteTable(c.Table), column.Type, what, c.Dialect.Name)
		return
	}
	c.found([]string{c.alter(mend)}, "column %q of table %s is of type %s, which %s", column.Name, c.Dialect.QuoteTable(c.Table), column.Type, what)
}

// checkNulls looks for what a migration to NOT NULL would fail on.
func (c *Check) checkNulls(column dialect.Column) error {
	if !column.IsNullable || !c.Model.Version.NotNull {
		return nil
	}
	holds, err := holdsNulls(c.DB, c.Dialect, c.Table, c.Model.Version.DBName)
	if err != nil || !holds {
		return err
	}
	c.found([]string{c.fill()}, "column %q of table %s holds NULLs, on which a migration to NOT NULL fails", column.Name, c.Dialect.QuoteTable(c.Table))
	return nil
}

// fill is the statement that gives a version to the rows that have none.
func (c *Check) fill() string {
	first := "1"
	switch kind := c.Model.Version.Kind.(type) {
	case kind.Clock:
		first = "CURRENT_TIMESTAMP"
	case kind.Random:
		first = c.Dialect.RandomUUID(kind.Form)
	}
	return fillNulls(c.Dialect, c.Table, c.Model.Version.DBName, first)
}

// checkTriggers minds triggers that are there; that there is none is no fault.
func (c *Check) checkTriggers() error {
	wanted := dialect.Trigger{Table: c.Table}
	stored, err := c.storedTriggers(c.DB, wanted)
	if err != nil || !hasOnTable(stored) {
		return err
	}
	made, err := c.triggerOf(c.DB, c.Model, c.Table)
	if err != nil {
		c.found(c.dropAll(stored, wanted), "table %s has a trigger of occ's, though %v", c.Dialect.QuoteTable(c.Table), err)
		return nil
	}
	if err := c.requireColumns(c.DB, Trigger{made, c.Model}); err != nil {
		c.found(nil, "the trigger of table %s cannot run: %v", c.Dialect.QuoteTable(c.Table), strings.TrimPrefix(err.Error(), "occ: "))
		return nil
	}
	if len(stored) == 1 && c.Dialect.Serves(stored[0], made) {
		return nil
	}
	mend := append(c.dropAll(stored, made), c.Dialect.CreateTrigger(made)...)
	c.found(mend, "the trigger of table %s does not fit the model, or the name of the table, any more: call CreateTriggers, or run", c.Dialect.QuoteTable(c.Table))
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
func (c *Check) dropAll(stored []dialect.StoredTrigger, wanted dialect.Trigger) (statements []string) {
	for _, s := range stored {
		if s.IsOnTable && (wanted.Version == "" || !c.Dialect.IsNamedFor(s, wanted)) {
			statements = append(statements, c.Dialect.DropStored(s, wanted)...)
		}
	}
	return statements
}
