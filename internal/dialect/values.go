package dialect

import (
	"reflect"

	"gorm.io/gorm"
)

// WritesAtOnce reports whether an UPDATE can lock and count its rows before it writes the first of them.
func (d Dialect) WritesAtOnce() bool { return d.Name == postgres }

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
