package occ_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

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
	run(t, testdb.All(), []behaviour{
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
