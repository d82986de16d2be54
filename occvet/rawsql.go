package occvet

import (
	"go/ast"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

var rawSQL = &analysis.Analyzer{
	Name: "rawsql",
	Doc: `report SQL that writes a versioned table and leaves its version alone

The plugin does not see Exec and Raw, nor database/sql. A row that such a statement changes keeps its
version, so that the next save of an older copy is let through and overwrites the change:

	db.Exec("UPDATE products SET stock = stock - 1 WHERE id = ?", id)     // reported

Write the version too, or make the write through GORM, or have occ.CreateTriggers move it:

	db.Exec("UPDATE products SET stock = stock - 1, version = version + 1 WHERE id = ?", id)

Reported are UPDATE, INSERT ... ON CONFLICT DO UPDATE, INSERT ... ON DUPLICATE KEY UPDATE, REPLACE and INSERT OR
REPLACE in constant text that is given to Exec, Raw, Query, QueryRow, Prepare and their kin, of GORM and any other
library. The tables are those of the models in the package and in those that it imports, by TableName where it returns a
constant, else by GORM's naming.

Not reported: text that is put together at run time; DELETE; statements that set nothing but columns tagged
gorm:"unversioned"; models that occ.CreateTriggers is called for in these packages; Xmin, Snapshot and version:database; and
test files, which play the program that does not know of versions.`,
	URL:      "https://pkg.go.dev/github.com/gorm-occ/occ/occvet",
	Requires: []*analysis.Analyzer{facts},
	Run:      runRawSQL,
}

// executing are the names of functions that take SQL, in this and that library.
var executing = map[string]bool{
	"Exec": true, "ExecContext": true, "MustExec": true, "MustExecContext": true, "NamedExec": true, "NamedExecContext": true, "Raw": true,
	"Query": true, "QueryContext": true, "QueryRow": true, "QueryRowContext": true, "Prepare": true, "PrepareContext": true, "Queue": true,
}

func runRawSQL(pass *analysis.Pass) (any, error) {
	u := pass.ResultOf[facts].(*unit)
	if len(u.tables) == 0 {
		return nil, nil
	}
	for _, file := range pass.Files {
		if u.isTest(file.Pos()) {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				u.reportSQL(pass, call)
			}
			return true
		})
	}
	return nil, nil
}

func (u *unit) reportSQL(pass *analysis.Pass, call *ast.CallExpr) {
	f := u.callee(call)
	if f == nil || !executing[f.Name()] {
		return
	}
	for _, argument := range call.Args[:min(2, len(call.Args))] {
		sql, _ := u.text(argument)
		if sql == "" && u.origin(argument) != nil {
			sql, _ = u.text(u.origin(argument))
		}
		for _, w := range sqlWrites(sql) {
			if t := u.tableNamed(w.table); t != nil && t.isLeftAlone(w) {
				u.report(pass, argument, "this SQL writes %s and leaves %s alone: %s", t.Name, t.Column, t.advice(w))
				return
			}
		}
	}
}

// isLeftAlone reports whether a write changes rows of the table and does not move their version.
func (t *table) isLeftAlone(w sqlWrite) bool {
	if w.replace {
		return true
	}
	isUnversioned := func(name string) bool {
		return slices.ContainsFunc(t.Unversioned, func(u string) bool { return strings.EqualFold(u, name) })
	}
	moves := slices.ContainsFunc(w.columns, func(name string) bool { return strings.EqualFold(name, t.Column) })
	isPlain := slices.ContainsFunc(w.columns, func(name string) bool { return !isUnversioned(name) })
	return !moves && isPlain
}

func (t *table) advice(w sqlWrite) string {
	if w.replace {
		return "REPLACE starts every row anew; use an upsert that sets the version"
	}
	return "set it too, or have occ.CreateTriggers move it"
}
