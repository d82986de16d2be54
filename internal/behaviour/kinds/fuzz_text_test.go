package kinds_test

import (
	"database/sql"
	"encoding/binary"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// textOfKind is a kind of version whose values a fuzzer makes up.
type textOfKind struct {
	name  string
	model func() any // with its key and a version to insert
}

// textKinds are models of every type of version that a client may get as text, at the version that the values make.
func textKinds(bits uint64, text string) []textOfKind {
	signed, instant := int64(bits), time.Unix(int64(bits%253402300799), int64(bits%1e9)).UTC()
	id := uuid.UUID{}
	binary.BigEndian.PutUint64(id[:8], bits)
	copy(id[8:], text)
	return []textOfKind{
		{"int8", func() any { return &typedPart[int8]{Version: int8(signed)} }},
		{"int16", func() any { return &typedPart[int16]{Version: int16(signed)} }},
		{"int32", func() any { return &typedPart[int32]{Version: int32(signed)} }},
		{"int64", func() any { return &typedPart[int64]{Version: signed} }},
		{"occ.Version", func() any { return &typedPart[occ.Version]{Version: occ.Version(signed)} }},
		{"uint8", func() any { return &typedPart[uint8]{Version: uint8(bits)} }},
		{"uint32", func() any { return &typedPart[uint32]{Version: uint32(bits)} }},
		{"uint64", func() any { return &typedPart[uint64]{Version: bits >> 1} }},
		{"*int64", func() any { return &typedPart[*int64]{Version: &signed} }},
		{"sql.NullInt32", func() any {
			return &typedPart[sql.NullInt32]{Version: sql.NullInt32{Int32: int32(signed), Valid: true}}
		}},
		{"time.Time", func() any { return &typedPart[time.Time]{Version: instant} }},
		{"sql.NullTime", func() any { return &typedPart[sql.NullTime]{Version: sql.NullTime{Time: instant, Valid: true}} }},
		{"string", func() any { return &typedPart[string]{Version: text} }},
		{"*string", func() any { return &typedPart[*string]{Version: &text} }},
		{"uuid.UUID", func() any { return &typedPart[uuid.UUID]{Version: id} }},
		{"16 bytes", func() any { return &typedPart[bareID]{Version: bareID(id)} }},
		{"uuid column", func() any { return &nativePart[string]{Version: id.String()} }},
	}
}

// checkText requires that the text of whatever version a row has finds this row, and that no other text does.
func (k textOfKind) checkText(t *testing.T, db *gorm.DB, other string) {
	m := k.model()
	if db.Create(m).Error != nil {
		return // the column cannot hold it, which is not about texts
	}
	key := reflect.ValueOf(m).Elem().FieldByName("ID").Interface()
	stored := reflect.New(reflect.TypeOf(m).Elem()).Interface()
	require.NoError(t, db.First(stored, key).Error)
	text := textOf(t, db, stored)
	if text == "" {
		return // the zero value
	}
	write := func(given string) error {
		bare := reflect.New(reflect.TypeOf(m).Elem())
		bare.Elem().FieldByName("ID").Set(reflect.ValueOf(key))
		return db.Model(bare.Interface()).Clauses(occ.ExpectText(given)).Update("price", 1).Error
	}
	require.NoError(t, db.Clauses(occ.ExpectText(text)).First(stored, key).Error, "%s: %q", k.name, text)
	for _, wrong := range []string{other, text + "0", "0" + text, text[:len(text)-1], "%" + text} {
		if wrong != text && wrong != occ.AnyVersion {
			require.ErrorIs(t, write(wrong), occ.ErrStaleData, "%s at %q: %q", k.name, text, wrong)
		}
	}
	require.NoError(t, write(text), "%s: %q", k.name, text)
	require.ErrorIs(t, write(text), occ.ErrStaleData, "%s: %q is used", k.name, text)
}

var textSeeds = []struct {
	bits uint64
	text string
}{
	{1, "rev-1"}, {0, ""}, {127, "*"}, {128, `a "quoted", 100% odd; text`}, {1<<31 - 1, "é\u2028"}, {1 << 32, " padded "}, {1<<63 - 1, "a\x00b"},
	{1 << 63, "\xff\xfe"}, {1<<64 - 1, "A"}, {1764331200123456789, "%2A"}, {253402300798, "9.0e3"},
}

// TestTextFindsItsRow goes through the seeds of the fuzzer on every database.
func TestTextFindsItsRow(t *testing.T) {
	t.Parallel()
	for i := range textKinds(1, "") {
		kind := textKinds(1, "")[i]
		databases := testdb.All()
		if kind.name == "uuid column" {
			databases = Products(databases, "sqlite", "postgres", "mariadb")
		}
		Run(t, databases, []Behaviour{{"the text of " + kind.name + " finds its row", func(t *testing.T, db *gorm.DB) {
			for _, seed := range textSeeds {
				textKinds(seed.bits, seed.text)[i].checkText(t, db, seed.text)
			}
		}}}, kind.model())
	}
}

func FuzzVersionText(f *testing.F) {
	var kinds []*gorm.DB
	for _, kind := range textKinds(1, "") {
		kinds = append(kinds, Open(f, testdb.One(f, "sqlite"), []any{kind.model()}))
	}
	for _, seed := range textSeeds {
		f.Add(seed.bits, seed.text, "1")
	}
	f.Fuzz(func(t *testing.T, bits uint64, text, other string) {
		for i, kind := range textKinds(bits, text) {
			kind.checkText(t, kinds[i], other)
		}
	})
}
