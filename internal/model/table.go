package model

import (
	"strings"

	"gorm.io/gorm/clause"
)

// TableNamed returns the table that an expression names, without its schema, as GORM has it where there is no alias. Of a
// sub-query, or where there is no name at all, it is the model's table.
func TableNamed(expr *clause.Expr, ofModel string) string {
	table := tableIn(expr)
	if len(expr.Vars) > 0 || table == "" || strings.ContainsAny(table, "(?") {
		return ofModel
	}
	return table[strings.LastIndexByte(table, '.')+1:]
}
