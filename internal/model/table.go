package model

import (
	"strings"

	"gorm.io/gorm/clause"
)

// TableNamed returns the table that an expression names, without its schema, as GORM has it where there is no alias; a
// sub-query or no name at all is the model's table.
func TableNamed(expr *clause.Expr, ofModel string) string {
	table := tableIn(expr)
	if len(expr.Vars) > 0 || table == "" || strings.ContainsAny(table, "(?") {
		return ofModel
	}
	return table[strings.LastIndexByte(table, '.')+1:]
}
