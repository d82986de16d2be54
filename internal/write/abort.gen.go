package write

// Nothing here is generated. What GORM logs of a statement begins with the file and line that sent it: those of the
// first caller that is neither in GORM nor in a file named *.gen.go, as utils.CallerFrame in gorm.io/gorm has it. The
// statements that save associations are sent below the plugin's wrapper, and the line to be found is the application's.

import (
	"gorm.io/gorm"
)

// aborting is a callback whose panic ends the call.
func (e *Engine) aborting(callback func(*gorm.DB)) func(*gorm.DB) {
	return func(db *gorm.DB) {
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
