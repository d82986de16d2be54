package behaviour_test

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// lines is where GORM's own logger writes: it keeps the file and line of each statement.
type lines struct {
	mu   sync.Mutex
	seen []string
}

func (l *lines) Printf(_ string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, fmt.Sprint(args[0]))
}

// logLines gives a session of db whose statements are logged to the lines returned.
func logLines(db *gorm.DB) (*gorm.DB, *lines) {
	l := &lines{}
	return db.Session(&gorm.Session{Logger: logger.New(l, logger.Config{LogLevel: logger.Info, SlowThreshold: time.Hour})}), l
}

// bareChoir has associations of every kind, and no version in sight.
type (
	bareChoir struct {
		ID       uint
		Name     string
		PatronID *uint
		Patron   *barePatron
		Singers  []bareSinger  `gorm:"foreignKey:ChoirID"`
		Hall     *bareHall     `gorm:"foreignKey:ChoirID"`
		Songs    []*barePatron `gorm:"many2many:bare_songs"`
	}
	barePatron struct {
		ID   uint
		Name string
	}
	bareSinger struct {
		ID      uint
		ChoirID *uint
		Name    string
		Medals  []bareMedal `gorm:"foreignKey:SingerID"`
	}
	bareMedal struct {
		ID       uint
		SingerID *uint
	}
	bareHall struct {
		ID      uint
		ChoirID *uint
	}
)

func TestStatementsOfAssociationsAreLoggedWithTheLineOfTheCaller(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"models with versions", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&Choir{}, &Patron{}, &Singer{}, &Medal{}, &Hall{}, &Song{}, &Photo{}, &Poster{}))
			choir := &Choir{Name: "choir"}
			requireLines(t, db, choir, func(medals int) {
				choir.Patron, choir.Hall, choir.Songs = &Patron{Name: "patron"}, &Hall{Name: "hall"}, []*Song{{Name: "song"}}
				choir.Singers = []Singer{{Name: "singer", Medals: make([]Medal, medals)}}
			})
		}},
		{"models without", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&bareChoir{}, &barePatron{}, &bareSinger{}, &bareMedal{}, &bareHall{}))
			choir := &bareChoir{Name: "choir"}
			requireLines(t, db, choir, func(medals int) {
				choir.Patron, choir.Hall, choir.Songs = &barePatron{Name: "patron"}, &bareHall{}, []*barePatron{{Name: "song"}}
				choir.Singers = []bareSinger{{Name: "singer", Medals: make([]bareMedal, medals)}}
			})
		}},
	})
}

// requireLines creates, saves and deletes a choir with new associations each time, which fill adds.
func requireLines(t *testing.T, db *gorm.DB, choir any, fill func(medals int)) {
	db, l := logLines(db)
	fill(0)
	line := nextLine()
	require.NoError(t, db.Create(choir).Error)
	requireAll(t, line, l, 6)

	line = nextLine()
	require.NoError(t, db.Select(clause.Associations).Delete(choir).Error)
	requireAll(t, line, l, 4)

	fill(1)
	require.NoError(t, db.Omit(clause.Associations).Create(choir).Error)
	l.seen = nil
	line = nextLine()
	require.NoError(t, db.Save(choir).Error)
	requireAll(t, line, l, 7)
}

// nextLine is the file and line behind the one that calls it, as GORM writes it.
func nextLine() string {
	_, file, line, _ := runtime.Caller(1)
	return fmt.Sprintf("%s:%d", file, line+1)
}

// requireAll says that at least count statements were logged, all with the same line.
func requireAll(t *testing.T, line string, l *lines, count int) {
	t.Helper()
	require.GreaterOrEqual(t, len(l.seen), count)
	require.Equal(t, slices.Repeat([]string{line}, len(l.seen)), l.seen)
	l.seen = nil
}

// leaf has a version that SQL cannot make, and twig one that is no column.
type (
	leaf struct {
		ID   uint
		Name string
		V    string `gorm:"version:uuid;size:36"`
	}
	twig struct {
		ID   uint
		Name string
		occ.Snapshot
	}
)

// sentByPlugin are calls on rows of db of which the plugin sends something itself.
func sentByPlugin(t *testing.T, db *gorm.DB) map[string]func(*gorm.DB) error {
	mine, _ := Pair(t, db)
	cart := CreateCart(t, db, Line{}, Line{})
	leaves, twigs := []leaf{{Name: "a"}, {Name: "b"}}, []twig{{Name: "a"}, {Name: "b"}}
	require.NoError(t, db.Create(&leaves).Error)
	require.NoError(t, db.Create(&twigs).Error)
	return map[string]func(*gorm.DB) error{
		"a refusal":              func(db *gorm.DB) error { return db.Save(&mine).Error },
		"a slice":                func(db *gorm.DB) error { return db.Save(&leaves).Error },
		"a slice of snapshots":   func(db *gorm.DB) error { return db.Save(&twigs).Error },
		"a snapshot":             func(db *gorm.DB) error { return db.Delete(&twigs[0]).Error },
		"new snapshots":          func(db *gorm.DB) error { return db.Create(&[]twig{{}, {}}).Error },
		"rows by condition":      func(db *gorm.DB) error { return db.Model(&leaf{}).Where("1 = 1").Update("name", "x").Error },
		"a new child that bumps": func(db *gorm.DB) error { return db.Create(&Line{CartID: &cart.ID}).Error },
		"a child that bumps":     func(db *gorm.DB) error { return db.Model(&cart.Lines[0]).Update("pieces", 3).Error },
		"children in a graph":    func(db *gorm.DB) error { return db.Save(&Cart{Lines: cart.Lines}).Error },
		"Unchecked":              func(db *gorm.DB) error { return db.Clauses(occ.Unchecked()).Model(&mine).Update("name", "x").Error },
		"ExpectText":             func(db *gorm.DB) error { return db.Clauses(occ.ExpectText("*")).Model(&mine).Update("name", "x").Error },
		"Touch":                  func(db *gorm.DB) error { return occ.Touch(db, &cart, &leaves[0]) },
		"Verify":                 func(db *gorm.DB) error { return occ.Verify(db, &cart, leaves) },
		"Current":                func(db *gorm.DB) error { _, err := occ.Current(db, &mine); return err },
		"Rebase":                 func(db *gorm.DB) error { return occ.Rebase(db, &Product{ID: mine.ID, Name: "y"}, &mine) },
		"CheckSchema":            func(db *gorm.DB) error { return occ.CheckSchema(db, &Product{}) },
		"in a transaction": func(db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error { return tx.Save(&mine).Error })
		},
	}
}

func TestStatementsOfThePluginAreLoggedWithTheLineOfTheCaller(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{{"whatever it sends them for", func(t *testing.T, db *gorm.DB) {
		for name := range sentByPlugin(t, db) {
			call := sentByPlugin(t, db)[name]
			db, l := logLines(db)
			_ = call(db) // refused or not
			f := runtime.FuncForPC(reflect.ValueOf(call).Pointer())
			file, line := f.FileLine(f.Entry())
			require.NotEmpty(t, l.seen, name)
			for _, seen := range l.seen {
				require.Contains(t, []string{fmt.Sprintf("%s:%d", file, line), fmt.Sprintf("%s:%d", file, line+1)}, seen, name)
			}
		}
	}}}, &Product{}, &Cart{}, &Line{}, &leaf{}, &twig{})
}
