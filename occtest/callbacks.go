package occtest

import (
	"strings"
	"sync"
	"testing"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/registration"
)

// users are the tests that have callbacks registered, by the callbacks of a gorm.DB.
var users = struct {
	sync.Mutex
	of map[any][]string
}{of: map[any][]string{}}

// claim reports whether t may register callbacks with db: no other test uses them, but one that t is a subtest of.
func claim(t testing.TB, db *gorm.DB) bool {
	t.Helper()
	if err := registration.NeedDatabase(db); err != nil {
		t.Errorf("occtest: %v", err)
		return false
	}
	key, name := any(db.Callback()), t.Name()
	users.Lock()
	defer users.Unlock()
	for _, user := range users.of[key] {
		if user != name && !strings.HasPrefix(name, user+"/") {
			t.Errorf("occtest: %s uses this gorm.DB at the same time: a test that runs parallel to others needs a gorm.DB of its own (gorm.Open)", user)
			return false
		}
	}
	users.of[key] = append(users.of[key], name)
	t.Cleanup(func() { release(key, name) })
	return true
}

func release(key any, name string) {
	users.Lock()
	defer users.Unlock()
	of := users.of[key]
	for i, user := range of {
		if user == name {
			users.of[key] = append(of[:i:i], of[i+1:]...)
			break
		}
	}
	if len(users.of[key]) == 0 {
		delete(users.of, key)
	}
}
