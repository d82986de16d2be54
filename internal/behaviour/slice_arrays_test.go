package behaviour_test

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// mood is text to the database and a number here.
type mood int

func (m mood) Value() (driver.Value, error) { return []string{"sad", "fine", "happy"}[m], nil }

func (m *mood) Scan(value any) error {
	*m = mood(strings.Index("sad fine happy", fmt.Sprint(value)) / 4)
	return nil
}

// nickname is text with a method that pgx sends in place of it.
type nickname string

func (n nickname) String() string { return "<" + string(n) + ">" }

// Specimen has a column of each sort that PostgreSQL takes in an array.
type Specimen struct {
	ID       uint
	Text     string
	Pointer  *string
	Short    string `gorm:"type:varchar(20)"`
	Padded   string `gorm:"type:char(5)"`
	Small    int16  `gorm:"type:smallint"`
	Whole    int32
	Big      *int64
	Unsigned uint32  `gorm:"type:bigint"`
	Exact    string  `gorm:"type:numeric(20,6)"`
	Number   float64 `gorm:"type:numeric"`
	Single   float32 `gorm:"type:real"`
	Double   float64
	Flag     bool
	Perhaps  sql.NullBool
	Bytes    []byte
	JSON     string            `gorm:"type:json"`
	Map      map[string]string `gorm:"type:jsonb;serializer:json"`
	Key      uuid.UUID         `gorm:"type:uuid"`
	Zoned    time.Time         `gorm:"type:timestamptz(3)"`
	Local    *time.Time        `gorm:"type:timestamp"`
	Day      time.Time         `gorm:"type:date"`
	Null     sql.NullTime
	Mood     mood   `gorm:"type:mood"`
	Positive int    `gorm:"type:positive"`
	Span     string `gorm:"type:interval"`
	Address  string `gorm:"type:inet"`
	Sorted   string `gorm:"type:text COLLATE \"C\""`
	occ.Version
}

var specimenTypes = []string{
	"CREATE TYPE mood AS ENUM ('sad', 'fine', 'happy')",
	"CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
}

func texts() *rapid.Generator[string] {
	parts := rapid.SampledFrom(append([]string{`"`, `\`, `'`, `,`, `{`, `}`, "NULL", " ", "\t", "ä"}, awkwardTexts...))
	return rapid.OneOf(rapid.SampledFrom(awkwardTexts), rapid.Map(rapid.SliceOfN(parts, 0, 4), func(p []string) string { return strings.Join(p, "") }))
}

func cut(text string, n int) string { return string([]rune(text)[:min(n, len([]rune(text)))]) }

func times() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		at := time.Unix(rapid.Int64Range(-62135596800+86400, 253402300799-86400).Draw(t, "second"), rapid.Int64Range(0, 999999999).Draw(t, "nano"))
		return at.In(time.FixedZone("", rapid.IntRange(-50000, 50000).Draw(t, "offset")))
	})
}

func finite() *rapid.Generator[float64] {
	return rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, -0.1, 1e20, 1e21, 1e22, 1e-7, math.MaxFloat64, math.SmallestNonzeroFloat64}))
}

func specimens() *rapid.Generator[Specimen] {
	return rapid.Custom(func(t *rapid.T) (s Specimen) {
		s.Text, s.Pointer = texts().Draw(t, "text"), rapid.Ptr(texts(), true).Draw(t, "pointer")
		s.Short, s.Padded, s.Sorted = cut(texts().Draw(t, "short"), 20), cut(texts().Draw(t, "padded"), 5), texts().Draw(t, "sorted")
		s.Small, s.Whole, s.Unsigned = rapid.Int16().Draw(t, "small"), rapid.Int32().Draw(t, "whole"), rapid.Uint32().Draw(t, "unsigned")
		s.Big = rapid.Ptr(rapid.Int64(), true).Draw(t, "big")
		s.Exact = rapid.SampledFrom([]string{"0", "-1.5", "99999999999999.999999", "NaN", "1e5"}).Draw(t, "exact")
		s.Number, s.Double = finite().Draw(t, "number"), rapid.OneOf(finite(), rapid.SampledFrom([]float64{math.Inf(1), math.Inf(-1), math.NaN()})).Draw(t, "double")
		s.Single = rapid.Float32().Draw(t, "single")
		s.Flag, s.Perhaps = rapid.Bool().Draw(t, "flag"), sql.NullBool{Bool: rapid.Bool().Draw(t, "perhaps"), Valid: rapid.Bool().Draw(t, "valid")}
		if s.Bytes = rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"); rapid.Bool().Draw(t, "no bytes") {
			s.Bytes = nil
		}
		document, _ := json.Marshal(map[string]any{texts().Draw(t, "name"): texts().Draw(t, "value")})
		s.JSON = string(document)
		s.Map = map[string]string{texts().Draw(t, "name"): texts().Draw(t, "value")}
		copy(s.Key[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key"))
		s.Zoned, s.Day = times().Draw(t, "zoned"), times().Draw(t, "day").UTC()
		s.Local = rapid.Ptr(rapid.Map(times(), time.Time.UTC), true).Draw(t, "local")
		s.Null = sql.NullTime{Time: times().Draw(t, "null"), Valid: rapid.Bool().Draw(t, "valid")}
		s.Mood, s.Positive = mood(rapid.IntRange(0, 2).Draw(t, "mood")), rapid.IntRange(1, math.MaxInt32).Draw(t, "positive")
		s.Span = rapid.SampledFrom([]string{"1 day 02:03:04.5", "-3 mons", "P1Y"}).Draw(t, "span")
		s.Address = rapid.SampledFrom([]string{"10.0.0.1", "::1", "192.168.0.0/16"}).Draw(t, "address")
		return s
	})
}

func storedTexts(t require.TestingT, db *gorm.DB, table string) (stored map[uint]string) {
	var found []struct {
		ID  uint
		Row string
	}
	require.NoError(t, db.Raw("SELECT id, row_to_json(t)::text || t::text AS row FROM "+table+" t").Scan(&found).Error)
	stored = map[uint]string{}
	for _, f := range found {
		stored[f.ID] = f.Row
	}
	return stored
}

// TestArraysStoreWhatParametersDo saves models together and then each alone: the stored rows are the same.
func TestArraysStoreWhatParametersDo(t *testing.T) {
	t.Parallel()
	Run(t, testdb.Like(Except("Lean", Everywhere()), "postgres"), []Behaviour{{"whatever their types and values", func(t *testing.T, db *gorm.DB) {
		for _, sql := range specimenTypes {
			require.NoError(t, db.Exec(sql).Error)
		}
		require.NoError(t, db.AutoMigrate(&Specimen{}))
		rapid.Check(t, func(rt *rapid.T) {
			drawn := rapid.SliceOfN(specimens(), 2, 5).Draw(rt, "specimens")
			require.NoError(rt, db.Create(&drawn).Error)
			batch := make([]Specimen, len(drawn))
			for i, at := range rapid.Permutation(drawn).Draw(rt, "values") {
				at.ID, at.Version = drawn[i].ID, drawn[i].Version
				batch[i] = at
			}
			session, recorded := Record(db)

			require.NoError(rt, session.Save(&batch).Error)

			require.Contains(rt, strings.Join(recorded.Sent(""), "\n"), "unnest(")
			together := storedTexts(rt, db, "specimens")
			for i := range batch {
				batch[i].Version--
				require.NoError(rt, db.Exec("UPDATE specimens SET version = 1 WHERE id = ?", batch[i].ID).Error)
				require.NoError(rt, db.Save(&batch[i]).Error)
			}
			require.Equal(rt, storedTexts(rt, db, "specimens"), together)
			require.NoError(rt, db.Delete(&batch).Error)
		})
	}}})
}

// Oddity has columns that no array can carry, or whose text depends on the driver.
type Oddity struct {
	ID   uint
	Tags string `gorm:"type:text[]"`
	occ.Version
}

type oddName struct {
	ID   uint
	Name nickname
	occ.Version
}

type oddBox struct {
	ID  uint
	Box string `gorm:"type:box"`
	occ.Version
}

type oddTime struct {
	ID uint
	At time.Time
	occ.Version
}

func TestWhatNoArrayCarriesIsSavedAllTheSame(t *testing.T) {
	t.Parallel()
	Run(t, testdb.Like(testdb.All(), "postgres"), []Behaviour{
		{"arrays", func(t *testing.T, db *gorm.DB) {
			oddities := []Oddity{{Tags: "{a}"}, {Tags: "{b,c}"}, {Tags: "{}"}}
			require.NoError(t, db.Create(&oddities).Error)
			oddities[0].Tags, oddities[1].Tags = "{x,y}", `{"q,r"}`

			require.NoError(t, db.Save(&oddities).Error)

			for _, want := range oddities {
				require.Equal(t, want, Reload[Oddity](t, db, want.ID))
			}
		}},
		{"arrays in a table that was not made of the model", func(t *testing.T, db *gorm.DB) {
			inscriptions := []Inscription{{Text: "{a}"}, {Text: "{b}"}}
			require.NoError(t, db.Migrator().DropTable(&Inscription{}))
			require.NoError(t, db.Exec("CREATE TABLE inscriptions (id bigserial PRIMARY KEY, text text[], loose text, count bigint, counted bigint, flag bool, version bigint)").Error)
			require.NoError(t, db.Create(&inscriptions).Error)
			inscriptions[0].Text = "{c,d}"

			require.NoError(t, db.Save(&inscriptions).Error)

			require.Equal(t, inscriptions[0], Reload[Inscription](t, db, inscriptions[0].ID))
		}},
		{"types with another separator", func(t *testing.T, db *gorm.DB) {
			boxes := []oddBox{{Box: "(1,1),(0,0)"}, {Box: "(2,2),(0,0)"}}
			require.NoError(t, db.Create(&boxes).Error)
			boxes[0].Box = "(3,3),(0,0)"

			require.NoError(t, db.Save(&boxes).Error)

			require.Equal(t, boxes[0], Reload[oddBox](t, db, boxes[0].ID))
		}},
		{"text that the driver sends as another", func(t *testing.T, db *gorm.DB) {
			names := []oddName{{Name: "a"}, {Name: "b"}}
			require.NoError(t, db.Create(&names).Error)
			alone := oddName{Name: "c"}
			require.NoError(t, db.Create(&alone).Error)
			names[0].Name = "c"

			require.NoError(t, db.Save(&names).Error)

			require.Equal(t, Reload[oddName](t, db, alone.ID).Name, Reload[oddName](t, db, names[0].ID).Name)
		}},
		{"times in a zone, in columns without one", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Exec("ALTER TABLE odd_times ALTER at TYPE timestamp").Error)
			at := []oddTime{{At: Noon}, {At: Noon}}
			require.NoError(t, db.Create(&at).Error)
			zoned := Noon.In(time.FixedZone("", 3600))
			alone := oddTime{At: zoned}
			require.NoError(t, db.Create(&alone).Error)
			at[0].At = zoned

			require.NoError(t, db.Save(&at).Error)

			require.Equal(t, Reload[oddTime](t, db, alone.ID).At, Reload[oddTime](t, db, at[0].ID).At)
		}},
		{"times before the first year", func(t *testing.T, db *gorm.DB) {
			at := []oddTime{{At: Noon}, {At: Noon}}
			require.NoError(t, db.Create(&at).Error)
			at[0].At = time.Date(-3, 1, 2, 3, 4, 5, 0, time.UTC)

			require.NoError(t, db.Save(&at).Error)

			require.True(t, at[0].At.Equal(Reload[oddTime](t, db, at[0].ID).At))
		}},
		{"expressions", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)

			require.NoError(t, db.Model(&products).Update("price", gorm.Expr("price + ?", 1)).Error)

			require.Equal(t, products[0].Price+1, Reload[Product](t, db, products[0].ID).Price)
		}},
		{"columns whose type has changed, once the first write has found that out", func(t *testing.T, db *gorm.DB) {
			inscriptions := []Inscription{{Text: "a"}, {Text: "b"}}
			require.NoError(t, db.Create(&inscriptions).Error)
			require.NoError(t, db.Save(&inscriptions).Error)
			require.NoError(t, db.Exec("ALTER TABLE inscriptions ALTER text TYPE text[] USING ARRAY[text]").Error)
			inscriptions[0].Text, inscriptions[1].Text = "{c}", "{d}"
			require.Error(t, db.Save(&inscriptions).Error)

			require.NoError(t, db.Save(&inscriptions).Error)

			require.Equal(t, inscriptions[0], Reload[Inscription](t, db, inscriptions[0].ID))
		}},
	}, &Oddity{}, &oddName{}, &oddBox{}, &oddTime{}, &Product{}, &Inscription{})
}

// entry has no column of a type that pgx would have to be told of.
type entry struct {
	ID      int64
	Text    string
	At      time.Time
	Version int64 `gorm:"version"`
}

func TestSlicesWhereTheDriverTellsTypes(t *testing.T) {
	t.Parallel()
	Run(t, testdb.TellingTypes(), []Behaviour{{"are written, though no text is an array then", func(t *testing.T, db *gorm.DB) {
		entries := []entry{{Text: "a", At: Noon}, {Text: "b", At: Noon}, {Text: "c", At: Noon}}
		require.NoError(t, db.Create(&entries).Error)
		entries[0].Text, entries[1].Text = "{x}", "y"

		require.NoError(t, db.Save(&entries).Error)

		require.Equal(t, "{x}", Reload[entry](t, db, entries[0].ID).Text)
		require.EqualValues(t, 2, entries[0].Version)
		require.NoError(t, db.Model(&entries).Update("text", "z").Error)
		require.NoError(t, occ.Touch(db, &entries))
		require.NoError(t, db.Delete(&entries).Error)
		require.Empty(t, all[entry](t, db))
	}}}, &entry{})
}
