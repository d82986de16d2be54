package tx

import (
	"runtime"
	"strings"
)

// GORM's Save is an UPDATE and, if that writes no row, an INSERT ... ON CONFLICT DO UPDATE of the same model. Neither
// statement carries a trace of it: a Save looks like Select("*").Updates, then like an upsert. But only Save may insert a model
// that was never stored. So the call stack is asked, after a statement wrote nothing and before an upsert. An ordinary write
// does not ask.

// CalledBySave reports whether the callbacks run for gorm.DB.Save, or for a call that it makes.
func CalledBySave() bool { return CalledBy("Save") }

// CalledBy reports it of any method of gorm.DB.
func CalledBy(method string) bool {
	const maxDepth = 64
	var callers [maxDepth]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers[:])])
	inGORM := false
	for {
		frame, more := frames.Next()
		switch {
		case frame.Function == "gorm.io/gorm.(*processor).Execute":
			inGORM = true
		case frame.Function == "gorm.io/gorm.(*DB)."+method && inGORM:
			return true
		case inGORM && !strings.HasPrefix(frame.Function, "gorm.io/gorm.(*DB)."):
			return false
		}
		if !more {
			return false
		}
	}
}
