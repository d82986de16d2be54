package read

import (
	"fmt"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/intent"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/tx"
)

// OpenRead makes sure that the row of a query with an expected version can be compared with it.
func (r *Reader) OpenRead(db *gorm.DB) {
	r.prepare(db)
	if _, expects := db.Statement.Clauses[intent.ExpectClause]; !expects || db.Error != nil {
		return
	}
	_ = db.AddError(r.canCompare(db.Statement))
}

// canCompare reports as an error why the row that a query reads cannot be compared with the expected version.
func (r *Reader) canCompare(stmt *gorm.Statement) error {
	if stmt.Schema == nil {
		return fmt.Errorf("occ: Expect on a query without a model: read into one: %w", gorm.ErrModelValueRequired)
	}
	switches, err := intent.Of(stmt)
	if err != nil {
		return err
	}
	m := r.ModelOfSchema(stmt.Schema)
	if err := switches.Fit(m); err != nil {
		return err
	}
	if !stmt.ReflectValue.IsValid() || stmt.ReflectValue.Type() != m.ModelType {
		return fmt.Errorf("occ: model %s: Expect on a read is for one model: read into a %s, with First, Take, Last or Find: %w", m.Name, m.Name, gorm.ErrInvalidData)
	}
	if !readsVersion(stmt, m) {
		return fmt.Errorf("occ: model %s, field %s: Expect on a read that does not select the version: select it too: %w", m.Name, m.Version.Name, gorm.ErrInvalidData)
	}
	_, err = switches.VersionFor(m.Version)
	return err
}

// readsVersion reports whether a query certainly reads the version as it is stored. Of a Snapshot it is known once it is read.
func readsVersion(stmt *gorm.Statement, m *model.Model) bool {
	if stmt.SQL.Len() > 0 {
		return false
	}
	if m.Compares() != nil {
		return true
	}
	columns, _ := stmt.SelectAndOmitColumns(false, false)
	selected, named := columns[m.Version.DBName]
	return readsStored(stmt)(m.Version.DBName) && (!named || selected)
}

// CloseRead compares the row that was read with the expected version. The model holds the row whether it is refused or not.
func (r *Reader) CloseRead(db *gorm.DB) {
	Resume(db)
	stmt := db.Statement
	if _, expects := stmt.Clauses[intent.ExpectClause]; !expects || db.Error != nil || db.RowsAffected == 0 || db.DryRun {
		return
	}
	switches, _ := intent.Of(stmt)
	_ = db.AddError(readRow{stmt, r.ModelOfSchema(stmt.Schema), switches, r.Face.Refused}.compare())
}

// OpenRows refuses an expected version where the caller scans the rows: the plugin does not see what is read then.
func (r *Reader) OpenRows(db *gorm.DB) {
	r.prepare(db)
	if _, expects := db.Statement.Clauses[intent.ExpectClause]; !expects || db.Error != nil {
		return
	}
	err := fmt.Errorf("occ: Expect on a read by Scan, Row or Rows: use First, Take, Last or Find: %w", gorm.ErrInvalidData)
	_ = db.AddError(err)
	if several, _ := db.Get("rows"); several != true {
		never := tx.EndedContext{Context: db.Statement.Context, Reason: err}
		db.Statement.Dest = tx.ConnectionOf(db.Statement.ConnPool).QueryRowContext(never, "")
	}
}

// OpenRaw refuses an expected version on SQL of the caller's own, which the plugin does not change.
func OpenRaw(db *gorm.DB) {
	if _, expects := db.Statement.Clauses[intent.ExpectClause]; expects && db.Error == nil {
		_ = db.AddError(fmt.Errorf("occ: Expect with Exec: the SQL has to compare the version itself: %w", gorm.ErrInvalidData))
	}
}

// readRow is a row that was read into a model, with what is expected of it.
type readRow struct {
	stmt     *gorm.Statement
	model    *model.Model
	switches intent.Switches
	refused  func(*conflict.Refusal) error
}

func (r readRow) compare() error {
	version := r.model.Version
	actual := version.Of(r.stmt.Context, r.stmt.ReflectValue)
	if text, _ := version.Text(actual); text == "" && r.model.Compares() != nil {
		return fmt.Errorf("occ: model %s: Expect on a read that does not load the columns to compare: select them too: %w", r.model.Name, gorm.ErrInvalidData)
	}
	texts := r.switches.Texts
	if texts == nil {
		expected, err := r.switches.VersionFor(version)
		if err != nil || version.IsSameOrZero(expected, actual) {
			return err
		}
		return r.refusal(expected, actual, true)
	}
	if texts.Holds(version, actual) {
		return nil
	}
	return r.refusal(texts.Expected(version), actual, len(texts.Versions) > 0)
}

func (r readRow) refusal(expected, actual any, given bool) error {
	row := conflict.Row{PrimaryKey: map[string]any{}, Expected: expected, Actual: actual, Reason: r.reason(expected, actual)}
	row.Text = r.model.Version.TextIfAny(actual)
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
	kind := r.model.Version.Kind
	texts, isText := expected.([]string)
	switch isOne := !isText || reflect.TypeOf(expected) == r.model.Version.FieldType; {
	case isOne && kind.IsZero(expected), !isOne && len(texts) == 0:
		return conflict.ReasonMissing
	case isOne && kind.IsAhead(expected, actual):
		return conflict.ReasonAhead
	}
	return conflict.ReasonChanged
}
