package occ_test

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/utils/tests"

	"github.com/gorm-occ/occ"
)

// Everything has a column of every kind that GORM maps.
type Everything struct {
	ID      uint
	Text    string
	Number  int16
	Flag    bool
	Ratio   float64
	Small   float32
	At      time.Time
	Blob    []byte
	PText   *string
	PNumber *int
	PAt     *time.Time
	Null    sql.NullString
	PNull   *sql.NullInt64
	Any     sql.Null[float64]
	Raw     json.RawMessage
	Tags    []string       `gorm:"serializer:json"`
	Extra   map[string]any `gorm:"serializer:json"`
	Gob     []int          `gorm:"serializer:gob;type:bytes"`
	Unix    int64          `gorm:"serializer:unixtime;type:timestamp"`
	Money   Cents
	Amount  *Amount `gorm:"type:decimal(10,2)"`
	Price   string  `gorm:"type:numeric(10,2)"`
	Size    Centimetres
	UUID    uuid.UUID
	Home    Address  `gorm:"embedded;embeddedPrefix:home_"`
	Work    *Address `gorm:"embedded;embeddedPrefix:work_"`
	Contact
	Views     int    `gorm:"unversioned"`
	Origin    string `gorm:"<-:create"`
	Computed  int    `gorm:"->"`
	Ignored   string `gorm:"-"`
	OwnerID   *uint
	Owner     *Everything
	Version   occ.Version
	CreatedAt time.Time
	UpdatedAt time.Time
	Touched   int64 `gorm:"autoUpdateTime:milli"`
	DeletedAt gorm.DeletedAt
}

type Address struct {
	City string
	Zip  *string
}

type Contact struct{ Mail string }

type Centimetres uint8

// Cents has its Value on the value.
type Cents struct{ n int64 }

func (c Cents) Value() (driver.Value, error) { return c.n, nil }
func (c *Cents) Scan(v any) error            { c.n, _ = v.(int64); return nil }

// Amount is a decimal that has its Value on the pointer.
type Amount struct{ Text string }

func (a *Amount) Value() (driver.Value, error) { return a.Text, nil }
func (a *Amount) Scan(v any) error {
	if text, ok := v.([]byte); ok {
		v = string(text)
	}
	a.Text = fmt.Sprint(v)
	return nil
}

// pure is a session that no SQL can be run with.
func pure(t testing.TB) *gorm.DB {
	db, err := gorm.Open(tests.DummyDialector{})
	require.NoError(t, err)
	require.NoError(t, db.Use(occ.New(occ.WithDialect("sqlite"))))
	return db
}

func pointerTo[T any](v T) *T { return &v }

var midday = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func everything() Everything {
	return Everything{ID: 1, Text: "a", Number: 1, Ratio: 1.5, At: midday, Blob: []byte("a"), PText: pointerTo("a"), PAt: pointerTo(midday),
		Raw: json.RawMessage(`{"a":1,"b":2}`), Tags: []string{"a"}, Extra: map[string]any{"a": 1.0}, Gob: []int{1}, Unix: 9999,
		Amount: &Amount{"2.50"}, Price: "2.50", Home: Address{City: "a"}, Work: &Address{City: "a", Zip: pointerTo("1")},
		Version: 1, CreatedAt: midday, UpdatedAt: midday}
}

// change is two different new values of one column.
type change struct {
	field, column string
	mine, theirs  func(k *Everything)
}

var changes = []change{
	{"Text", "text", func(k *Everything) { k.Text = "m" }, func(k *Everything) { k.Text = "" }},
	{"Number", "number", func(k *Everything) { k.Number = 0 }, func(k *Everything) { k.Number = 3 }},
	{"Flag", "flag", func(k *Everything) { k.Flag = true }, nil},
	{"Ratio", "ratio", func(k *Everything) { k.Ratio = math.NaN() }, func(k *Everything) { k.Ratio = 0 }},
	{"Small", "small", func(k *Everything) { k.Small = 1 }, func(k *Everything) { k.Small = 2 }},
	{"At", "at", func(k *Everything) { k.At = midday.Add(time.Nanosecond) }, func(k *Everything) { k.At = time.Time{} }},
	{"Blob", "blob", func(k *Everything) { k.Blob = nil }, func(k *Everything) { k.Blob = []byte{} }},
	{"PText", "p_text", func(k *Everything) { k.PText = nil }, func(k *Everything) { k.PText = pointerTo("") }},
	{"PNumber", "p_number", func(k *Everything) { k.PNumber = pointerTo(0) }, func(k *Everything) { k.PNumber = pointerTo(1) }},
	{"PAt", "p_at", func(k *Everything) { k.PAt = nil }, func(k *Everything) { k.PAt = &time.Time{} }},
	{"Null", "null", func(k *Everything) { k.Null = sql.NullString{Valid: true} }, func(k *Everything) { k.Null = sql.NullString{String: "x", Valid: true} }},
	{"PNull", "p_null", func(k *Everything) { k.PNull = &sql.NullInt64{Valid: true} }, func(k *Everything) { k.PNull = &sql.NullInt64{Int64: 1, Valid: true} }},
	{"Any", "any", func(k *Everything) { k.Any = sql.Null[float64]{V: 1, Valid: true} }, func(k *Everything) { k.Any = sql.Null[float64]{V: 2, Valid: true} }},
	{"Raw", "raw", func(k *Everything) { k.Raw = json.RawMessage(`{"a":1}`) }, func(k *Everything) { k.Raw = nil }},
	{"Tags", "tags", func(k *Everything) { k.Tags = []string{} }, func(k *Everything) { k.Tags = nil }},
	{"Extra", "extra", func(k *Everything) { k.Extra = map[string]any{"a": 2} }, func(k *Everything) { k.Extra = map[string]any{"b": 1} }},
	{"Gob", "gob", func(k *Everything) { k.Gob = []int{2} }, func(k *Everything) { k.Gob = []int{3} }},
	{"Unix", "unix", func(k *Everything) { k.Unix = 99999 }, func(k *Everything) { k.Unix = 6 }},
	{"Money", "money", func(k *Everything) { k.Money = Cents{5} }, func(k *Everything) { k.Money = Cents{6} }},
	{"Amount", "amount", func(k *Everything) { k.Amount = &Amount{"2.51"} }, func(k *Everything) { k.Amount = &Amount{"0"} }},
	{"Price", "price", func(k *Everything) { k.Price = "2.51" }, func(k *Everything) { k.Price = "3" }},
	{"Size", "size", func(k *Everything) { k.Size = 5 }, func(k *Everything) { k.Size = 6 }},
	{"UUID", "uuid", func(k *Everything) { k.UUID[0] = 1 }, func(k *Everything) { k.UUID[0] = 2 }},
	{"Home.City", "home_city", func(k *Everything) { k.Home.City = "m" }, func(k *Everything) { k.Home.City = "t" }},
	{"Home.Zip", "home_zip", func(k *Everything) { k.Home.Zip = pointerTo("m") }, func(k *Everything) { k.Home.Zip = pointerTo("t") }},
	{"Work.City", "work_city", func(k *Everything) { k.Work = &Address{"m", pointerTo("1")} }, func(k *Everything) { k.Work = &Address{"t", pointerTo("1")} }},
	{"Work.Zip", "work_zip", func(k *Everything) { k.Work = &Address{"a", nil} }, func(k *Everything) { k.Work = &Address{"a", pointerTo("")} }},
	{"Mail", "mail", func(k *Everything) { k.Mail = "m" }, func(k *Everything) { k.Mail = "t" }},
	{"OwnerID", "owner_id", func(k *Everything) { k.OwnerID = pointerTo(uint(0)) }, func(k *Everything) { k.OwnerID = pointerTo(uint(2)) }},
	{"DeletedAt", "deleted_at", func(k *Everything) { k.DeletedAt = gorm.DeletedAt{Time: midday, Valid: true} }, func(k *Everything) { k.DeletedAt = gorm.DeletedAt{Time: midday.Add(1), Valid: true} }},
}

func changed(change func(k *Everything)) *Everything {
	k := everything()
	change(&k)
	return &k
}

func mergeOf(t *testing.T, base, mine, theirs *Everything) (*Everything, []occ.FieldConflict) {
	t.Helper()
	before := fmt.Sprintf("%#v %#v %#v", base, mine, theirs)
	result, conflicts, err := occ.Merge(pure(t), base, mine, theirs)
	require.NoError(t, err)
	require.Equal(t, before, fmt.Sprintf("%#v %#v %#v", base, mine, theirs))
	return result, conflicts
}

// requireSame compares what NaN makes incomparable.
func requireSame(t *testing.T, want, got *Everything) {
	t.Helper()
	w, g := *want, *got
	if math.IsNaN(w.Ratio) && math.IsNaN(g.Ratio) {
		w.Ratio, g.Ratio = 0, 0
	}
	require.Equal(t, w, g)
}

func TestMergeOfEachKindOfColumn(t *testing.T) {
	t.Parallel()
	for _, c := range changes {
		t.Run(c.field, func(t *testing.T) {
			t.Parallel()
			base := everything()

			result, conflicts := mergeOf(t, &base, changed(c.mine), &base)
			require.Empty(t, conflicts)
			requireSame(t, changed(c.mine), result)

			result, conflicts = mergeOf(t, &base, &base, changed(c.mine))
			require.Empty(t, conflicts)
			requireSame(t, changed(c.mine), result)

			result, conflicts = mergeOf(t, &base, changed(c.mine), changed(c.mine))
			require.Empty(t, conflicts)
			requireSame(t, changed(c.mine), result)

			if c.theirs == nil {
				return
			}
			result, conflicts = mergeOf(t, &base, changed(c.mine), changed(c.theirs))
			require.Len(t, conflicts, 1)
			require.Equal(t, c.field, conflicts[0].Field)
			require.Equal(t, c.column, conflicts[0].Column)
			requireSame(t, changed(c.theirs), result)

			result, conflicts = mergeOf(t, changed(c.theirs), changed(c.mine), changed(c.theirs))
			require.Empty(t, conflicts)
			requireSame(t, changed(c.mine), result)
		})
	}
}

// A merge of any changes to any columns is what its definition says, whoever is mine and theirs.
func TestMergeOfManyChanges(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewSource(1))
	for range 300 {
		base, mine, theirs, want := everything(), everything(), everything(), everything()
		collisions := 0
		for _, c := range changes {
			if c.field == "Work.City" || c.field == "Work.Zip" {
				continue // set as a whole
			}
			switch random.Intn(5) {
			case 0:
				c.mine(&mine)
				c.mine(&want)
			case 1:
				c.mine(&theirs)
				c.mine(&want)
			case 2:
				c.mine(&mine)
				c.mine(&theirs)
				c.mine(&want)
			case 3:
				if c.theirs != nil {
					c.mine(&mine)
					c.theirs(&theirs)
					c.theirs(&want)
					collisions++
				}
			}
		}

		result, conflicts := mergeOf(t, &base, &mine, &theirs)
		_, mirrored := mergeOf(t, &base, &theirs, &mine)

		requireSame(t, &want, result)
		require.Len(t, conflicts, collisions)
		require.Len(t, mirrored, collisions)
		for i, conflict := range conflicts {
			conflict.Mine, conflict.Theirs = conflict.Theirs, conflict.Mine
			require.Equal(t, fmt.Sprintf("%#v", conflict), fmt.Sprintf("%#v", mirrored[i]))
		}
	}
}

func TestMergeTakesTheSameForTheSame(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 3600)
	for name, pair := range map[string][2]func(k *Everything){
		"an instant in another zone":  {func(k *Everything) { k.At = midday.Add(1) }, func(k *Everything) { k.At = midday.Add(1).In(zone) }},
		"pointers to equal instants":  {func(k *Everything) { k.PAt = pointerTo(midday.Add(1)) }, func(k *Everything) { k.PAt = pointerTo(midday.Add(1).In(zone)) }},
		"a NULL with a value left":    {func(k *Everything) { k.Null = sql.NullString{String: "x"} }, func(k *Everything) { k.Null = sql.NullString{} }},
		"a pointer to NULL":           {func(k *Everything) { k.PNull = &sql.NullInt64{Int64: 1} }, func(k *Everything) { k.PNull = &sql.NullInt64{} }},
		"JSON in another form":        {func(k *Everything) { k.Raw = json.RawMessage(`{"b":2, "a":3}`) }, func(k *Everything) { k.Raw = json.RawMessage(`{"a":3,"b":2}`) }},
		"serialized alike":            {func(k *Everything) { k.Extra = map[string]any{"a": 2} }, func(k *Everything) { k.Extra = map[string]any{"a": 2.0} }},
		"decimals of another scale":   {func(k *Everything) { k.Amount = &Amount{"3"} }, func(k *Everything) { k.Amount = &Amount{"3.00"} }},
		"decimals in a text field":    {func(k *Everything) { k.Price = "3" }, func(k *Everything) { k.Price = "3.00" }},
		"not a number":                {func(k *Everything) { k.Ratio = math.NaN() }, func(k *Everything) { k.Ratio = math.NaN() }},
		"a soft delete seen in UTC":   {func(k *Everything) { k.DeletedAt = gorm.DeletedAt{Time: midday, Valid: true} }, func(k *Everything) { k.DeletedAt = gorm.DeletedAt{Time: midday.In(zone), Valid: true} }},
		"an embedded pointer dropped": {func(k *Everything) { k.Work = nil }, func(k *Everything) { k.Work = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := everything()

			result, conflicts := mergeOf(t, &base, changed(pair[0]), changed(pair[1]))

			require.Empty(t, conflicts)
			requireSame(t, changed(pair[1]), result)

			result, conflicts = mergeOf(t, changed(pair[0]), changed(pair[1]), changed(func(k *Everything) { pair[0](k); k.Text = "t" }))
			require.Empty(t, conflicts)
			requireSame(t, changed(func(k *Everything) { pair[0](k); k.Text = "t" }), result)
		})
	}
}

func TestMergeLeavesTheirs(t *testing.T) {
	t.Parallel()
	base, mine, theirs := everything(), everything(), everything()
	theirs.Version, theirs.UpdatedAt, theirs.Touched, theirs.Views = 7, midday.Add(time.Hour), 5, 9
	theirs.Owner, theirs.Ignored = &Everything{ID: 2}, "theirs"
	mine.Version, mine.CreatedAt, mine.UpdatedAt, mine.Touched, mine.Views = 3, midday.Add(1), midday.Add(2), 3, 4
	mine.Origin, mine.Computed, mine.Ignored, mine.Owner = "mine", 5, "mine", &Everything{ID: 3}

	result, conflicts := mergeOf(t, &base, &mine, &theirs)

	require.Empty(t, conflicts)
	require.Equal(t, theirs, *result)
}

func TestMergeOfAnEmbeddedPointer(t *testing.T) {
	t.Parallel()
	base := everything()
	none := changed(func(k *Everything) { k.Work = nil })
	moved := changed(func(k *Everything) { k.Work.City = "t" })

	result, conflicts := mergeOf(t, &base, none, &base)
	require.Empty(t, conflicts)
	require.Nil(t, result.Work)

	result, conflicts = mergeOf(t, none, &base, none)
	require.Empty(t, conflicts)
	require.Equal(t, base.Work, result.Work)

	result, conflicts = mergeOf(t, &base, none, moved)
	require.Equal(t, []occ.FieldConflict{{Field: "Work.City", Column: "work_city", Base: "a", Theirs: "t"}}, conflicts)
	require.Equal(t, &Address{City: "t"}, result.Work)

	result, conflicts = mergeOf(t, &base, moved, none)
	require.Equal(t, []occ.FieldConflict{{Field: "Work.City", Column: "work_city", Base: "a", Mine: "t"}}, conflicts)
	require.Nil(t, result.Work)
}

func TestMergeSharesNothing(t *testing.T) {
	t.Parallel()
	base, theirs := everything(), everything()
	mine := changed(func(k *Everything) { k.Blob, k.Tags, k.PText = []byte("m"), []string{"m"}, pointerTo("m") })
	wantMine, wantTheirs := *changed(func(k *Everything) { k.Blob, k.Tags, k.PText = []byte("m"), []string{"m"}, pointerTo("m") }), everything()

	result, _ := mergeOf(t, &base, mine, &theirs)
	result.Blob[0], result.Tags[0], *result.PText = 'x', "x", "x"
	result.Extra["x"], result.Gob[0], result.Raw[0] = "x", 9, 'x'
	*result.PAt, result.Work.City, *result.Work.Zip = midday.Add(1), "x", "x"

	require.Equal(t, wantMine, *mine)
	require.Equal(t, wantTheirs, theirs)
	require.Equal(t, wantTheirs, base)
}

// Opaque has a field whose type says that it must not be copied.
type Opaque struct {
	ID  uint
	Big *big.Int `gorm:"serializer:json"`
	Any any      `gorm:"serializer:json"`
}

func TestMergeSharesWhatMustNotBeCopied(t *testing.T) {
	t.Parallel()
	loop := map[string]any{}
	loop["a"], loop["b"] = loop, []any{loop}
	base := Opaque{ID: 1, Big: big.NewInt(1), Any: "a"}
	mine := Opaque{ID: 1, Big: big.NewInt(2), Any: loop}

	result, conflicts, err := occ.Merge(pure(t), &base, &mine, &base)

	require.NoError(t, err)
	require.Empty(t, conflicts)
	require.Same(t, mine.Big, result.Big)
	require.Equal(t, reflect.Map, reflect.TypeOf(result.Any).Kind())
}

func TestMergeOfWhatCannotBeMerged(t *testing.T) {
	t.Parallel()
	a, other, newer := everything(), everything(), everything()
	other.ID, newer.Version = 2, 5
	for want, sides := range map[string][3]*Everything{
		"occ: Merge of model Everything: base is nil: invalid value, should be pointer to struct or slice":   {nil, &a, &a},
		"occ: Merge of model Everything: mine is nil: invalid value, should be pointer to struct or slice":   {&a, nil, &a},
		"occ: Merge of model Everything: theirs is nil: invalid value, should be pointer to struct or slice": {&a, &a, nil},
		"mine and base have different primary keys":                                                          {&other, &a, &a},
		"mine and theirs have different primary keys":                                                        {&a, &a, &other},
		"base, at version 5, is newer than mine, at 1":                                                       {&newer, &a, &a},
	} {
		result, conflicts, err := occ.Merge(pure(t), sides[0], sides[1], sides[2])
		require.ErrorContains(t, err, want)
		require.Nil(t, result)
		require.Nil(t, conflicts)
	}

	_, _, err := occ.Merge(pure(t), pointerTo(5), pointerTo(5), pointerTo(5))
	require.ErrorContains(t, err, "int is no model")

	db, err := gorm.Open(tests.DummyDialector{})
	require.NoError(t, err)
	_, _, err = occ.Merge(db, &a, &a, &a)
	require.ErrorContains(t, err, "the plugin is not registered")
}
