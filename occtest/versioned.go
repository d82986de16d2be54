package occtest

import (
	"reflect"
	"testing"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

// Versioned fails the test for every one of the models that has no version that db's plugin can compare, nor an [occ.Snapshot], but for
// those that are also in except: so no new model is forgotten. Models are structs or pointers to them; their values do not matter.
// It sends nothing. A gorm.DB without the plugin fails, and so does a declaration that cannot work.
func Versioned(t testing.TB, db *gorm.DB, models []any, except ...any) {
	t.Helper()
	left := map[reflect.Type]bool{}
	for _, model := range except {
		left[structOf(model)] = true
	}
	for _, model := range models {
		s := structOf(model)
		switch {
		case s == nil:
			t.Errorf("occtest: a model has to be a struct or a pointer to one, got %T", model)
		case left[s]:
		default:
			if _, err := occ.VersionText(db, reflect.New(s).Interface()); err != nil {
				t.Errorf("occtest: writes of %s are not compared: %v", s, err)
			}
		}
	}
}

// structOf is the type of the model; nil where it is no struct.
func structOf(model any) reflect.Type {
	s := reflect.TypeOf(model)
	for s != nil && s.Kind() == reflect.Pointer {
		s = s.Elem()
	}
	if s == nil || s.Kind() != reflect.Struct {
		return nil
	}
	return s
}
