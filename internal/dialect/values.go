package dialect

import (
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// NotSearched has a condition find rows of the table by a column of the values, and not the other way round. SQLite else begins with
// the table where it takes it for small, reads all of it, and looks each row up among the values.
func (d Dialect) NotSearched(column clause.Column) any {
	if d.Name != sqlite {
		return column
	}
	return clause.Expr{SQL: "+?", Vars: []any{column}, WithoutParentheses: true}
}

const mariaDB = "MariaDB"

// serverVersion is what the driver of MySQL's dialect has found out about its server; empty where it was told not to ask.
func (d Dialect) serverVersion(db *gorm.DB) string {
	dialector := reflect.Indirect(reflect.ValueOf(db.Dialector))
	if d.Name != mysql || dialector.Kind() != reflect.Struct {
		return ""
	}
	config := reflect.Indirect(dialector.FieldByName("Config"))
	if config.Kind() != reflect.Struct {
		return ""
	}
	version := config.FieldByName("ServerVersion")
	if version.Kind() != reflect.String {
		return ""
	}
	return version.String()
}
