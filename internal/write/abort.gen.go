package write

// Nothing here is generated. What GORM logs of a statement begins with the file and line that sent it. They are those of the
// first caller that is neither in GORM nor in a file named *.gen.go, as utils.CallerFrame in gorm.io/gorm has it. The
// statements that save associations are sent below the plugin's wrapper, those that the plugin sends itself are logged by it,
// and the line to be found is the application's.

import (
	"gorm.io/gorm"
)

// aborting is a callback whose panic ends the call, where there is one. What the plugin has sent meanwhile is logged.
func (e *Engine) aborting(callback func(*gorm.DB)) func(*gorm.DB) {
	return func(db *gorm.DB) {
		if _, isCall := db.Statement.Clauses[callClause]; !isCall {
			callback(db)
			return
		}
		returned := false
		defer func() {
			if !returned {
				e.abort(db)
			}
		}()
		callback(db)
		returned = true
		if c, ok := db.Statement.Clauses[callClause].Expression.(*Call); ok {
			c.room.log.Flush()
		}
	}
}

// ofAssociations is a callback of GORM's that saves or deletes associations, without the models that have none. It is one
// frame of the stack with aborting: GORM looks at a few frames alone.
func (e *Engine) ofAssociations(callback func(*gorm.DB)) func(*gorm.DB) {
	return func(db *gorm.DB) {
		if s := db.Statement.Schema; s != nil && len(e.ModelOfSchema(s).Relations) == 0 {
			return
		}
		if c, ok := db.Statement.Clauses[callClause].Expression.(*Call); ok && c.isCreate() {
			db.Statement.Settings.Store(ownerSetting, c)
			defer db.Statement.Settings.Delete(ownerSetting)
		}
		returned := false
		defer func() {
			if !returned {
				e.abort(db)
			}
		}()
		callback(db)
		returned = true
	}
}
