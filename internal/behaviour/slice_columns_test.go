package behaviour_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
)

// cents is stored as text by its Value method.
type cents int64

func (c cents) Value() (driver.Value, error) { return fmt.Sprintf("%d.%02d", c/100, c%100), nil }

func (c *cents) Scan(value any) error {
	var whole, rest int64
	text := fmt.Sprint(value)
	if raw, ok := value.([]byte); ok {
		text = string(raw)
	}
	_, err := fmt.Sscanf(text, "%d.%d", &whole, &rest)
	*c = cents(whole*100 + rest)
	return err
}

func (cents) GormDataType() string { return "varchar(40)" }

// shout is stored by an expression of the database.
type shout string

func (s shout) GormValue(context.Context, *gorm.DB) clause.Expr {
	return clause.Expr{SQL: "UPPER(?)", Vars: []any{string(s)}}
}

func (s *shout) Scan(value any) error {
	text := fmt.Sprint(value)
	if raw, ok := value.([]byte); ok {
		text = string(raw)
	}
	*s = shout(strings.ToLower(text))
	return nil
}

func (shout) GormDataType() string { return "text" }

type wideAddress struct {
	Street string
	Number *int
}

type WideOwner struct{ Owner string }

// wideRow has a column of every sort that GORM maps.
type wideRow struct {
	ID       uint64
	Text     string
	Short    string `gorm:"size:20"`
	Int8     int8
	Big      uint64
	Float    float32
	Double   float64
	Decimal  string `gorm:"type:decimal(20,4)"`
	Flag     bool
	FlagPtr  *bool
	Raw      []byte
	At       time.Time
	AtPtr    *time.Time
	NullText sql.NullString
	NullTime sql.NullTime
	Null     sql.Null[int64]
	Tags     []string          `gorm:"serializer:json"`
	Settings map[string]string `gorm:"serializer:json;type:json"`
	Gob      []int             `gorm:"serializer:gob;type:bytes"`
	Cents    cents
	CentsPtr *cents
	Shout    shout
	UUID     uuid.UUID   `gorm:"type:char(36)"`
	Address  wideAddress `gorm:"embedded;embeddedPrefix:address_"`
	*WideOwner
	Default   string `gorm:"default:unknown"`
	Once      string `gorm:"<-:create"`
	CreatedAt time.Time
	UpdatedAt time.Time
	Millis    int64 `gorm:"autoUpdateTime:milli"`
	occ.Version
}

// newWideRow gives a row whose columns all depend on n.
func newWideRow(n int) wideRow {
	at := time.Date(2024, 5, n%28+1, 12, 30, 15, 123_000_000, time.UTC)
	flag, amount := n%2 == 0, cents(n*101)
	return wideRow{
		Text: strings.Repeat("text ' \" \\ ? ü ", n%40), Short: fmt.Sprint("short ", n), Int8: int8(n), Big: uint64(n) << 40,
		Float: float32(n) / 2, Double: float64(n) / 3, Decimal: fmt.Sprintf("%d.1234", n), Flag: flag, FlagPtr: &flag,
		Raw: []byte{0, 0xff, byte(n), '\'', 0x80}, At: at, AtPtr: &at,
		NullText: sql.NullString{String: fmt.Sprint(n), Valid: true}, NullTime: sql.NullTime{Time: at, Valid: true},
		Null: sql.Null[int64]{V: int64(n), Valid: true}, Tags: []string{"a", fmt.Sprint(n)},
		Settings: map[string]string{"n": fmt.Sprint(n)}, Gob: []int{n, n}, Cents: amount, CentsPtr: &amount,
		Shout: shout(fmt.Sprint("shout ", n)), UUID: uuid.NewSHA1(uuid.Nil, []byte{byte(n)}),
		Address: wideAddress{fmt.Sprint("street ", n), &n}, WideOwner: &WideOwner{fmt.Sprint("owner ", n)}, Default: fmt.Sprint(n),
	}
}

// emptied is the row with the zero value in nearly every column.
func (r wideRow) emptied() wideRow {
	return wideRow{ID: r.ID, UUID: r.UUID, Settings: map[string]string{}, Decimal: "0.1234", CreatedAt: r.CreatedAt, Once: r.Once, Version: r.Version}
}

// requireSameRows compares rows with their times as instants.
func requireSameRows(t *testing.T, want, got []wideRow) {
	t.Helper()
	require.Len(t, got, len(want))
	normal := func(r wideRow) wideRow {
		r.At, r.CreatedAt, r.UpdatedAt, r.NullTime.Time = r.At.UTC(), r.CreatedAt.UTC().Truncate(time.Millisecond), r.UpdatedAt.UTC().Truncate(time.Millisecond), r.NullTime.Time.UTC()
		if r.AtPtr != nil {
			at := r.AtPtr.UTC()
			r.AtPtr = &at
		}
		if r.WideOwner == nil {
			r.WideOwner = &WideOwner{}
		}
		if len(r.Raw) == 0 {
			r.Raw = nil
		}
		return r
	}
	for i := range want {
		require.Equal(t, normal(want[i]), normal(got[i]), "row %d", i)
	}
}

func TestSaveOfASliceWritesEveryColumn(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"as it is in memory", func(t *testing.T, db *gorm.DB) {
			rows := make([]wideRow, 20)
			for i := range rows {
				rows[i] = newWideRow(i + 1)
				rows[i].Once = "once"
			}
			require.NoError(t, db.Create(&rows).Error)
			requireSameRows(t, rows, all[wideRow](t, db))
			for i := range rows {
				changed := newWideRow(i + 50)
				changed.ID, changed.Version, changed.CreatedAt, changed.Once = rows[i].ID, rows[i].Version, rows[i].CreatedAt, "twice"
				if i%3 == 0 {
					changed = rows[i].emptied()
				}
				rows[i] = changed
			}

			res := db.Save(&rows)

			require.NoError(t, res.Error)
			require.EqualValues(t, 20, res.RowsAffected)
			for i := range rows {
				rows[i].Once = "once"
			}
			requireSameRows(t, rows, all[wideRow](t, db))
		}},
		{"where all rows have the zero value", func(t *testing.T, db *gorm.DB) {
			rows := []wideRow{newWideRow(1), newWideRow(2), newWideRow(3)}
			require.NoError(t, db.Create(&rows).Error)
			for i := range rows {
				rows[i] = rows[i].emptied()
			}

			require.NoError(t, db.Save(&rows).Error)

			requireSameRows(t, rows, all[wideRow](t, db))
		}},
	}, &wideRow{})
}

// typedRow has columns of types that only some databases have.
type typedRow struct {
	ID    uuid.UUID `gorm:"type:uuid;primaryKey"`
	JSON  string    `gorm:"type:json"`
	JSONB *string   `gorm:"type:jsonb"`
	Mood  string    `gorm:"type:mood"`
	Bits  string    `gorm:"type:bit(4)"`
	Price string    `gorm:"type:numeric(10,2)"`
	Days  string    `gorm:"type:interval"`
	Clock string    `gorm:"type:time(0)"`
	Day   time.Time `gorm:"type:date"`
	Small int16     `gorm:"type:smallint"`
	Net   string    `gorm:"type:inet"`
	Names string    `gorm:"type:text[]"`
	occ.Version
}

func TestSaveOfASliceWritesTypesOfPostgreSQL(t *testing.T) {
	t.Parallel()
	Run(t, Only("postgres", "postgres simple protocol"), []Behaviour{
		{"as they are", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Exec("CREATE TYPE mood AS ENUM ('sad', 'ok')").Error)
			require.NoError(t, db.AutoMigrate(&typedRow{}))
			one, two := `{"a": 1}`, `{"a": 2}`
			rows := []typedRow{
				{uuid.New(), one, &one, "ok", "0101", "1.50", "1 day", "12:30:00", time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC), 1, "10.0.0.1", "{a,b}", 0},
				{uuid.New(), two, nil, "sad", "0111", "2.50", "2 days", "12:30:01", time.Date(2024, 5, 2, 0, 0, 0, 0, time.UTC), 2, "10.0.0.2", "{c}", 0},
			}
			require.NoError(t, db.Create(&rows).Error)
			for i := range rows {
				ID, version := rows[i].ID, rows[i].Version
				other := rows[(i+1)%2]
				rows[i] = other
				rows[i].ID, rows[i].Version, rows[i].Price = ID, version, fmt.Sprint(i, ".25")
				if i == 0 {
					rows[0].Mood, rows[1].Mood = "sad", "ok"
				}
			}

			require.NoError(t, db.Save(&rows).Error)

			for _, row := range rows {
				got := typedRow{ID: row.ID}
				require.NoError(t, db.Find(&got).Error)
				got.Day = got.Day.UTC()
				require.Equal(t, row, got)
			}
		}},
	})
}

type setRow struct {
	ID   string  `gorm:"size:40;primaryKey"`
	Mood string  `gorm:"type:enum('sad','ok')"`
	Tags string  `gorm:"type:set('a','b')"`
	Bits []byte  `gorm:"type:bit(4)"`
	JSON *string `gorm:"type:json"`
	Year int     `gorm:"type:year"`
	Time string  `gorm:"type:time(0)"`
	Huge uint64
	UUID string `gorm:"type:uuid"`
	Bin  []byte `gorm:"type:binary(4)"`
	occ.Version
}

func TestSaveOfASliceWritesTypesOfMariaDB(t *testing.T) {
	t.Parallel()
	Run(t, Products(Only("mariadb", "mariadb clientFoundRows"), "mariadb"), []Behaviour{
		{"as they are", func(t *testing.T, db *gorm.DB) {
			one := `{"a":1}`
			rows := []setRow{
				{"é", "ok", "a", []byte{1}, &one, 2024, "12:00:00", 1<<64 - 1, uuid.NewString(), []byte{0, 255, 1, 128}, 0},
				{"b", "sad", "a,b", []byte{2}, nil, 2025, "13:00:00", 1, uuid.NewString(), []byte{1, 2, 3, 4}, 0},
			}
			require.NoError(t, db.Create(&rows).Error)
			for i := range rows {
				other := rows[1-i]
				rows[i].Mood, rows[i].Tags, rows[i].Bits, rows[i].Year, rows[i].Time = other.Mood, "b", []byte{byte(i + 4)}, 2000+i, "14:00:00"
				rows[i].Huge, rows[i].UUID, rows[i].Bin = 1<<63+uint64(i), uuid.NewString(), []byte{200, 201, byte(i), 0}
			}

			require.NoError(t, db.Save(&rows).Error)

			for _, row := range rows {
				got := setRow{ID: row.ID}
				require.NoError(t, db.Find(&got).Error)
				require.Equal(t, row, got)
			}
		}},
	}, &setRow{})
}
