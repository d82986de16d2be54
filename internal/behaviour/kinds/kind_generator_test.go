package kinds_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// stamped is a model with a generator's version.
type stamped struct {
	ID      uint
	Price   int
	Version string `gorm:"version:stamp"`
}

func (stamped) TableName() string { return "stamped" }

// generate is a generator that is a function.
type generate func(ctx context.Context, current any) (any, error)

func (g generate) Next(ctx context.Context, current any) (any, error) { return g(ctx, current) }

type requestKey struct{}

// stamps notes what it was asked, and answers with the number of the question.
type stamps struct {
	n     int
	asked []any
}

func (s *stamps) Next(_ context.Context, current any) (any, error) {
	s.asked = append(s.asked, current)
	s.n++
	return fmt.Sprint("v", s.n), nil
}

func TestAGeneratorIsAskedOncePerRow(t *testing.T) {
	t.Parallel()
	for _, database := range testdb.All() {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			s := &stamps{}
			db := Open(t, database, []any{&stamped{}}, occ.WithGenerator("stamp", s))
			asked := func(write *gorm.DB) []any {
				require.NoError(t, write.Error)
				defer func() { s.asked = s.asked[:0:0] }()
				return s.asked
			}
			ms := []stamped{{}, {}}

			require.Equal(t, []any{nil, nil}, asked(db.Create(&ms)))
			ms[0].Version, ms[1].Version = "a", "b"
			require.NoError(t, db.Exec("UPDATE stamped SET version = CASE id WHEN 1 THEN 'a' ELSE 'b' END").Error)
			require.Equal(t, []any{"a"}, asked(db.Model(&ms[0]).Update("price", 1)))
			require.Equal(t, []any{"v3", "b"}, asked(db.Save(&ms)))
			require.Equal(t, []any{"v4", "v5"}, asked(db.Model(&stamped{}).Where("id > 0").Order("id").Update("price", 2)))
			require.Equal(t, []any{"v6"}, asked(db.Model(&ms[0]).Clauses(occ.Unchecked()).Update("price", 3)))
			require.Equal(t, "v8", ms[0].Version)
			require.Equal(t, []any{"v8", "v7"}, asked(db.Model(&ms).Clauses(occ.Unchecked()).Update("price", 4)))
			require.Equal(t, []stamped{{1, 4, "v9"}, {2, 4, "v10"}}, ms)
			require.Empty(t, asked(db.Delete(&stamped{}, "id = ?", 1)))
		})
	}
}

func TestAGeneratorKnowsTheContextOfTheStatement(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		g := generate(func(ctx context.Context, _ any) (any, error) { return ctx.Value(requestKey{}), nil })
		require.NoError(t, db.Use(occ.New(occ.WithGenerator("stamp", g))))
		require.NoError(t, db.AutoMigrate(&stamped{}))
		in := func(request string) *gorm.DB {
			return db.WithContext(context.WithValue(context.Background(), requestKey{}, request))
		}
		m := stamped{}

		require.NoError(t, in("first").Create(&m).Error)
		require.Equal(t, "first", m.Version)
		require.NoError(t, in("second").Model(&m).Update("price", 1).Error)
		require.Equal(t, "second", m.Version)
		require.NoError(t, in("third").Model(&stamped{}).Where("id = ?", m.ID).Update("price", 2).Error)
		require.Equal(t, "third", Reload[stamped](t, db, m.ID).Version)
	})
}

func TestAGeneratorThatFailsStopsTheWrite(t *testing.T) {
	t.Parallel()
	failure := errors.New("out of numbers")
	for _, bad := range []struct {
		name string
		next generate
		want string
	}{
		{"with an error", func(context.Context, any) (any, error) { return nil, failure }, failure.Error()},
		{"with nil", func(context.Context, any) (any, error) { return nil, nil }, "returned nil"},
		{"with a nil pointer", func(context.Context, any) (any, error) { return (*string)(nil), nil }, "returned nil"},
		{"with a wrong type", func(context.Context, any) (any, error) { return 17, nil }, "returned int"},
		{"with the zero value", func(context.Context, any) (any, error) { return "", nil }, "zero value"},
		{"with a panic", func(context.Context, any) (any, error) { panic("lost") }, "panicked: lost"},
	} {
		for _, database := range testdb.All() {
			t.Run(bad.name+"/"+database.Name, func(t *testing.T) {
				t.Parallel()
				testFailingGenerator(t, database, bad.next, bad.want)
			})
		}
	}
}

func testFailingGenerator(t *testing.T, database testdb.Database, bad generate, want string) {
	fails := false
	db := Open(t, database, []any{&stamped{}}, occ.WithGenerator("stamp", generate(func(ctx context.Context, current any) (any, error) {
		if fails {
			return bad(ctx, current)
		}
		return "good", nil
	})))
	m := stamped{Price: 10}
	require.NoError(t, db.Create(&m).Error)
	fails = true
	for _, write := range []func(m *stamped) error{
		func(m *stamped) error { return db.Create(&stamped{}).Error },
		func(m *stamped) error { return db.Model(m).Update("price", 1).Error },
		func(m *stamped) error { return db.Save(m).Error },
		func(m *stamped) error { return db.Save([]*stamped{m, {}}).Error },
		func(m *stamped) error { return db.Model(&stamped{}).Where("id > 0").Update("price", 1).Error },
		func(m *stamped) error { return db.Clauses(occ.Unchecked()).Model(m).Update("price", 1).Error },
	} {
		copied := m
		err := write(&copied)

		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "model stamped, field Version")
		require.Equal(t, "good", copied.Version)
		var rows []stamped
		require.NoError(t, db.Find(&rows).Error)
		require.Equal(t, []stamped{m}, rows)
	}
	pool, err := db.DB()
	require.NoError(t, err)
	require.Zero(t, pool.Stats().InUse, "a transaction was left open")
}

func TestMisuseOfVersionsIsNamed(t *testing.T) {
	t.Parallel()
	type TwoVersions struct {
		ID  uint
		One occ.Version
		Two int64 `gorm:"version"`
	}
	type NoSuchKind struct {
		ID uint
		V  int64 `gorm:"version:nosuch"`
	}
	type FloatVersion struct {
		ID uint
		V  float64 `gorm:"version"`
	}
	type WrongType struct {
		ID uint
		V  int64 `gorm:"version:uuid"`
	}
	type NilGenerator struct {
		ID uint
		V  int64 `gorm:"version:empty"`
	}
	type Shadowed struct {
		ID uint
		V  string `gorm:"version:uuid"`
	}
	type ReadOnly struct {
		ID uint
		V  int64 `gorm:"version;->"`
	}
	type Serialized struct {
		ID uint
		V  string `gorm:"version;serializer:json"`
	}
	type DateVersion struct {
		ID uint
		V  time.Time `gorm:"version;type:date"`
	}
	any64 := generate(func(context.Context, any) (any, error) { return int64(1), nil })
	for _, misuse := range []struct {
		name  string
		model any
		opts  []occ.Option
		want  []string
	}{
		{"two fields", &TwoVersions{}, nil, []string{"TwoVersions", "One", "Two"}},
		{"no such kind", &NoSuchKind{}, nil, []string{"NoSuchKind", "field V", `"nosuch"`}},
		{"an unsupported type", &FloatVersion{}, nil, []string{"FloatVersion", "field V", "float64"}},
		{"a kind that does not serve the type", &WrongType{}, nil, []string{"WrongType", "field V", `"uuid"`, "int64"}},
		{"a nil generator", &NilGenerator{}, []occ.Option{occ.WithGenerator("empty", nil)}, []string{"NilGenerator", "field V", `"empty"`, "nil"}},
		{"a generator by the name of a kind", &Shadowed{}, []occ.Option{occ.WithGenerator("uuid", any64)}, []string{"Shadowed", "field V", `"uuid"`}},
		{"a date", &DateVersion{}, nil, []string{"DateVersion", "field V", "date"}},
		{"a read-only field", &ReadOnly{}, nil, []string{"ReadOnly", "field V", "permission"}},
		{"a serializer", &Serialized{}, nil, []string{"Serialized", "field V", "serializer"}},
		{"Xmin on another database", &onlyPostgres{}, nil, []string{"onlyPostgres", "field Xmin", "sqlite", "PostgreSQL"}},
	} {
		t.Run(misuse.name, func(t *testing.T) {
			t.Parallel()
			db := Open(t, testdb.One(t, "sqlite"), []any{misuse.model}, misuse.opts...)
			for _, use := range []func() error{
				func() error { return db.Create(misuse.model).Error },
				func() error { return db.Where("id = 1").Find(misuse.model).Error },
				func() error { return db.Model(misuse.model).Where("id = 1").Update("id", 2).Error },
				func() error { return db.Where("id = 1").Delete(misuse.model).Error },
			} {
				err := use()
				for _, want := range misuse.want {
					require.ErrorContains(t, err, want)
				}
			}
		})
	}
}

type onlyPostgres struct {
	ID uint
	occ.Xmin
}
