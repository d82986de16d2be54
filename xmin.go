package occ

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// Xmin is PostgreSQL's system column of that name as the version: the number of the transaction that wrote the row last.
// Embed it, or give it a name:
//
//	type Invoice struct {
//		ID    uint
//		Total int
//		occ.Xmin
//	}
//
// It needs no column and no migration; the plugin has every query of the model read it, unless the query selects columns
// of its own without it. Raw SQL has to name it: SELECT *, xmin FROM invoices. Two copies that were loaded inside the
// transaction that last wrote the row cannot be told apart. On another database a model with it is an error at first use.
type Xmin uint32

const xminColumn = "xmin"

// CreateClauses is called by GORM while it parses a model, the one moment before a migration at which the field can be
// made the system column. Its clause has writes fail without the plugin. Embedding promotes it to the model, so it minds fields of type Xmin alone.
func (Xmin) CreateClauses(field *schema.Field) []clause.Interface {
	if field.IndirectFieldType != reflect.TypeFor[Xmin]() || isIgnored(field) {
		return nil
	}
	field.IgnoreMigration, field.Creatable, field.Updatable = true, false, false
	if s := field.Schema; s.FieldsByDBName[field.DBName] == field && field.DBName != xminColumn {
		delete(s.FieldsByDBName, field.DBName)
		s.DBNames[slices.Index(s.DBNames, field.DBName)] = xminColumn
		field.DBName, s.FieldsByDBName[xminColumn] = xminColumn, field
	}
	return versionClauses[Xmin](field)
}

// UpdateClauses is called by GORM while it parses a model. Its clause has writes fail without the plugin.
func (Xmin) UpdateClauses(field *schema.Field) []clause.Interface {
	return versionClauses[Xmin](field)
}

// DeleteClauses is called by GORM while it parses a model. Its clause has writes fail without the plugin.
func (Xmin) DeleteClauses(field *schema.Field) []clause.Interface {
	return versionClauses[Xmin](field)
}

func (p *kinds) useXmin(version *versionField) error {
	if !p.dialect.HasXmin {
		return fmt.Errorf("%s has no column xmin: occ.Xmin is for PostgreSQL", p.dialect.Name)
	}
	counter, ok := p.newCounter(version.Field)
	if !ok || version.DBName != xminColumn {
		return errors.New("occ.Xmin has to be a field of its own")
	}
	version.kind, version.byDatabase = xmin{counter}, true
	return nil
}

// xmin is the kind of version that is PostgreSQL's number of a transaction: its numbers go round, and say nothing of an
// order. The type xid compares with little; text always binds.
type xmin struct{ counter }

func (x xmin) bind(version any) any {
	n, _ := x.decode(version)
	return strconv.FormatUint(n, 10)
}

func (x xmin) equals(column clause.Column, value any) clause.Expression {
	if filled, ok := value.(clause.Column); ok {
		return clause.Eq{Column: column, Value: filled}
	}
	return clause.Expr{SQL: "CAST(? AS text) = ?", Vars: []any{column, value}}
}

func (x xmin) zeroInSQL() any        { return nil }
func (x xmin) isAhead(_, _ any) bool { return false }

func (f *versionField) isXmin() bool {
	_, is := f.kind.(xmin)
	return is
}

// selectXmin has a query of a model with an Xmin read it: a query of all columns names them, since * is without the
// system's. What selects, counts or groups columns of its own is left alone, but for a *.
func selectXmin(db *gorm.DB, m *model) {
	if m.version == nil || !m.version.isXmin() || db.Statement.SQL.Len() > 0 || isDerived(db.Statement) {
		return
	}
	if len(db.Statement.Selects) > 0 {
		selectXminToo(db.Statement)
		return
	}
	if _, grouped := db.Statement.Clauses["GROUP BY"]; !grouped {
		configure(db, func(config *gorm.Config) { config.QueryFields = true })
	}
}

// isDerived tells a query of something else than a table, which has no system columns.
func isDerived(stmt *gorm.Statement) bool {
	return stmt.TableExpr != nil && (len(stmt.TableExpr.Vars) > 0 || strings.ContainsAny(stmt.TableExpr.SQL, "(?"))
}

// selectXminToo adds the version to the columns of a query that selects all of the model's.
func selectXminToo(stmt *gorm.Statement) {
	all := stmt.Table + ".*"
	for _, selected := range stmt.Selects {
		if selected == "*" || selected == all {
			stmt.Selects = append(slices.Clone(stmt.Selects), stmt.Quote(clause.Column{Table: stmt.Table, Name: xminColumn}))
			return
		}
	}
}
