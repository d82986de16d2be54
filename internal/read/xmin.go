package read

import (
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/model"
)

// selectXmin has a query of a model with an Xmin read it: a query of all columns names them, since * is without the
// system's. What selects, counts or groups columns of its own is left alone, but for a *.
func selectXmin(db *gorm.DB, m *model.Model) {
	if m.Version == nil || !m.Version.IsXmin() || db.Statement.SQL.Len() > 0 || isDerived(db.Statement) {
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

// isDerived reports whether a query is of something else than a table, which has no system columns.
func isDerived(stmt *gorm.Statement) bool {
	return stmt.TableExpr != nil && (len(stmt.TableExpr.Vars) > 0 || strings.ContainsAny(stmt.TableExpr.SQL, "(?"))
}

// selectXminToo adds the version to the columns of a query that selects all of the model's.
func selectXminToo(stmt *gorm.Statement) {
	all := stmt.Table + ".*"
	for _, selected := range stmt.Selects {
		if selected == "*" || selected == all {
			stmt.Selects = append(slices.Clone(stmt.Selects), stmt.Quote(clause.Column{Table: stmt.Table, Name: kind.XminColumn}))
			return
		}
	}
}
