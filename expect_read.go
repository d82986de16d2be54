package occ

import (
	"fmt"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/conflict"
)

// openRead makes sure that a query with an expected version is one that can be told to be at it.
func (p *reader) openRead(db *gorm.DB) {
	p.meet(db)
	if _, expects := db.Statement.Clauses[expectClause]; !expects || db.Error != nil {
		return
	}
	_ = db.AddError(p.canCompare(db.Statement))
}

// canCompare reports as an error why the row that a query reads cannot be compared with the expected version.
func (p *reader) canCompare(stmt *gorm.Statement) error {
	if stmt.Schema == nil {
		return fmt.Errorf("occ: Expect on a query without a model: read into one: %w", gorm.ErrModelValueRequired)
	}
	switches, err := switchesOf(stmt)
	if err != nil {
		return err
	}
	m := p.modelOfSchema(stmt.Schema)
	if err := switches.fit(m); err != nil {
		return err
	}
	if !stmt.ReflectValue.IsValid() || stmt.ReflectValue.Type() != m.ModelType {
		return fmt.Errorf("occ: model %s: Expect on a read is for one model: read into a %s, with First, Take, Last or Find: %w", m.Name, m.Name, gorm.ErrInvalidData)
	}
	if !readsVersion(stmt, m) {
		return fmt.Errorf("occ: model %s, field %s: Expect on a read that does not select the version: select it too: %w", m.Name, m.version.Name, gorm.ErrInvalidData)
	}
	_, err = switches.versionFor(m.version)
	return err
}

// readsVersion reports whether a query certainly reads the version as it is stored. Of a Snapshot it is known once it is read.
func readsVersion(stmt *gorm.Statement, m *model) bool {
	if stmt.SQL.Len() > 0 {
		return false
	}
	if m.compares() != nil {
		return true
	}
	columns, _ := stmt.SelectAndOmitColumns(false, false)
	selected, named := columns[m.version.DBName]
	return readsStored(stmt)(m.version.DBName) && (!named || selected)
}

// closeRead compares the row that was read with the expected version. The model holds the row, whatever comes of it.
func (p *reader) closeRead(db *gorm.DB) {
	resume(db)
	stmt := db.Statement
	if _, expects := stmt.Clauses[expectClause]; !expects || db.Error != nil || db.RowsAffected == 0 || db.DryRun {
		return
	}
	switches, _ := switchesOf(stmt)
	_ = db.AddError(readRow{stmt, p.modelOfSchema(stmt.Schema), switches, p.face.Refused}.compare())
}

// openRows refuses an expected version where the caller scans the rows: nobody sees then what is read.
func (p *reader) openRows(db *gorm.DB) {
	p.meet(db)
	if _, expects := db.Statement.Clauses[expectClause]; !expects || db.Error != nil {
		return
	}
	err := fmt.Errorf("occ: Expect on a read by Scan, Row or Rows: use First, Take, Last or Find: %w", gorm.ErrInvalidData)
	_ = db.AddError(err)
	if several, _ := db.Get("rows"); several != true {
		never := endedContext{db.Statement.Context, err}
		db.Statement.Dest = connectionOf(db.Statement.ConnPool).QueryRowContext(never, "")
	}
}

// readRow is a row that was read into a model, with what is expected of it.
type readRow struct {
	stmt     *gorm.Statement
	model    *model
	switches switches
	refused  func(*conflict.Refusal) error
}

func (r readRow) compare() error {
	version := r.model.version
	actual := version.of(r.stmt.Context, r.stmt.ReflectValue)
	if text, _ := version.text(actual); text == "" && r.model.compares() != nil {
		return fmt.Errorf("occ: model %s: Expect on a read that does not load the columns to compare: select them too: %w", r.model.Name, gorm.ErrInvalidData)
	}
	texts := r.switches.texts
	if texts == nil {
		expected, err := r.switches.versionFor(version)
		if err != nil || version.isSameOrZero(expected, actual) {
			return err
		}
		return r.refusal(expected, actual, true)
	}
	if texts.holds(version, actual) {
		return nil
	}
	return r.refusal(texts.expected(version), actual, len(texts.versions) > 0)
}

func (r readRow) refusal(expected, actual any, given bool) error {
	row := conflict.Row{PrimaryKey: map[string]any{}, Expected: expected, Actual: actual, Reason: r.reason(expected, actual)}
	for _, field := range r.model.PrimaryFields {
		row.PrimaryKey[field.DBName] = valueIn(r.stmt, field)
	}
	return r.refused(&conflict.Refusal{Op: conflict.OpRead, Table: r.stmt.Table, Rows: []conflict.Row{row}, NoVersion: !given})
}

func valueIn(stmt *gorm.Statement, field *schema.Field) any {
	value, _ := field.ValueOf(stmt.Context, stmt.ReflectValue)
	return value
}

func (r readRow) reason(expected, actual any) conflict.Reason {
	kind := r.model.version.kind
	texts, isText := expected.([]string)
	switch isOne := !isText || reflect.TypeOf(expected) == r.model.version.FieldType; {
	case isOne && kind.isZero(expected), !isOne && len(texts) == 0:
		return conflict.ReasonMissing
	case isOne && kind.isAhead(expected, actual):
		return conflict.ReasonAhead
	}
	return conflict.ReasonChanged
}
