package workload

import (
	"errors"
	"strings"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

// Sabotage has writes through db not be compared any more, which is what a workload has to notice. It leaves the library
// as it is, and asks it for [occ.Unchecked] behind the callers' backs.
func Sabotage(db *gorm.DB) error {
	callbacks := db.Callback()
	return errors.Join(
		callbacks.Update().Before("*").Register("sabotage", uncheck),
		callbacks.Delete().Before("*").Register("sabotage", uncheck),
	)
}

func uncheck(db *gorm.DB) {
	for name := range db.Statement.Clauses {
		if strings.HasPrefix(name, "occ:") {
			return
		}
	}
	if switched, ok := occ.Unchecked().(gorm.StatementModifier); ok {
		switched.ModifyStatement(db.Statement)
	}
}
