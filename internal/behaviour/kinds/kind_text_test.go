package kinds_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// The models with snapshots, as kinds of their own.
type (
	snapshotPart struct {
		Part
		occ.Snapshot
	}
	dirtyPart struct {
		Part
		occ.Snapshot `gorm:"snapshot:dirty"`
	}
)

// TokenColumns are those of Part, of which one is a token.
type TokenColumns struct {
	ID        uint
	Name      string
	Price     int `gorm:"token"`
	DeletedAt gorm.DeletedAt
}

func (c *TokenColumns) part() *Part { return (*Part)(c) }

type tokenPart struct {
	TokenColumns
	occ.Snapshot
}

func (snapshotPart) TableName() string { return "parts" }
func (dirtyPart) TableName() string    { return "parts" }
func (tokenPart) TableName() string    { return "parts" }

func kindsAndSnapshots() []kindCase {
	return append(kinds(), throughG[snapshotPart](kindOf[snapshotPart]("occ.Snapshot")), kindOf[dirtyPart]("snapshot:dirty"), kindOf[tokenPart]("token"))
}

func TestVersionTextOfEveryKind(t *testing.T) {
	t.Parallel()
	for _, kind := range kindsAndSnapshots() {
		kind.runOn(t, testdb.All(), textBehaviours)
	}
}

func textOf(t testing.TB, db *gorm.DB, model any) string {
	t.Helper()
	text, err := occ.VersionText(db, model)
	require.NoError(t, err)
	return text
}

func textBehaviours(k partKind) []Behaviour {
	return slices.Concat(oneTextBehaviours(k), severalTextsBehaviours(k))
}

func oneTextBehaviours(k partKind) []Behaviour {
	return []Behaviour{
		{"the text of a version is ASCII that fits an entity tag, and the same for every reader", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)

			text := textOf(t, db, m)

			require.NotEmpty(t, text)
			require.NotEqual(t, occ.AnyVersion, text)
			for _, c := range []byte(text) {
				require.True(t, c > ' ' && c <= '~', "%q", text)
				require.NotContains(t, `",;`, string(c), "%q", text)
			}
			require.Equal(t, text, textOf(t, db, k.stored(t, db, m)))
			require.Equal(t, text, textOf(t, db, valueOf(k.stored(t, db, m))))
			require.Empty(t, textOf(t, db, k.new()))
		}},
		{"a write with the row's text is carried out, and the model has the next version", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)
			first := textOf(t, db, m)

			request := k.byID(m)
			result := db.Model(request).Clauses(occ.ExpectText(first)).Update("price", 20)

			require.NoError(t, result.Error)
			require.EqualValues(t, 1, result.RowsAffected)
			require.Equal(t, 20, k.price(t, db, m))
			require.NotEqual(t, first, textOf(t, db, k.stored(t, db, m)))
			require.Equal(t, textOf(t, db, k.stored(t, db, m)), textOf(t, db, request))
		}},
		{"a write with an older text is refused and writes nothing", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)
			first := textOf(t, db, m)
			require.NoError(t, db.Model(m).Update("price", 30).Error)
			for name, write := range map[string]func() error{
				"update": func() error { return db.Model(k.byID(m)).Clauses(occ.ExpectText(first)).Update("price", 70).Error },
				"save":   func() error { return db.Clauses(occ.ExpectText(first)).Save(k.byID(m)).Error },
				"delete": func() error { return db.Clauses(occ.ExpectText(first)).Delete(k.byID(m)).Error },
				"by condition": func() error {
					return db.Model(k.new()).Where("id = ?", m.part().ID).Clauses(occ.ExpectText(first)).Update("price", 70).Error
				},
				"one of two": func() error {
					return db.Model(k.byID(m)).Clauses(occ.ExpectText(first, "0815")).Update("price", 70).Error
				},
				"gorm.G": func() error {
					return k.updatePrice(db, m.part().ID, 70, occ.ExpectText(first))
				},
			} {
				row := Stale(t, write())
				require.Equal(t, occ.ReasonChanged, row.Reason, name)
				require.Equal(t, m.part().ID, row.PrimaryKey["id"], name)
				require.NotNil(t, row.Actual, name)
				require.Equal(t, 30, k.price(t, db, m), name)
			}
		}},
		{"what is no version is at no row: refused, and no other error", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)
			text := textOf(t, db, m)
			wrong := []string{
				"0" + text, "+" + text, text + " ", " " + text, text + "x", strings.ToUpper(text) + "Z", "x", "-", "%", "%0", "%zz", "%00", "%ff",
				"9223372036854775808", "99999999999999999999999", "-1", "1e0", "1.0", "0x1", "**", `"` + text + `"`, "W/" + text,
				strings.Repeat("7", 3000), "2020-01-01T00:00:00Z", "00000000-0000-0000-0000-000000000000", "null", "'", "\x00", "é",
			}
			for _, given := range wrong {
				if given == text {
					continue
				}
				for _, write := range []func() error{
					func() error { return db.Model(k.byID(m)).Clauses(occ.ExpectText(given)).Update("price", 70).Error },
					func() error { return db.Clauses(occ.ExpectText(given)).Delete(k.byID(m)).Error },
					func() error { return db.Model(k.byID(m)).Clauses(occ.ExpectText(given, "y")).Update("price", 70).Error },
				} {
					err := write()
					row := Stale(t, err)
					require.Contains(t, []occ.Reason{occ.ReasonChanged, occ.ReasonAhead}, row.Reason, "%q: %v", given, err)
					require.NotErrorIs(t, err, occ.ErrVersionMissing, "%q", given)
				}
				require.Equal(t, 10, k.price(t, db, m), "%q", given)
				require.Equal(t, text, textOf(t, db, k.stored(t, db, m)), "%q", given)
			}
		}},
	}
}

func severalTextsBehaviours(k partKind) []Behaviour {
	return []Behaviour{
		{"no text, and an empty one, are a version that was never loaded", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)
			for _, none := range [][]string{nil, {""}, {"", ""}} {
				for _, write := range []func() error{
					func() error { return db.Model(k.byID(m)).Clauses(occ.ExpectText(none...)).Update("price", 70).Error },
					func() error { return db.Clauses(occ.ExpectText(none...)).Save(k.byID(m)).Error },
					func() error { return db.Clauses(occ.ExpectText(none...)).Delete(k.byID(m)).Error },
				} {
					err := write()
					require.ErrorIs(t, err, occ.ErrVersionMissing)
					require.Equal(t, occ.ReasonMissing, Stale(t, err).Reason)
				}
				require.Equal(t, 10, k.price(t, db, m))
			}
		}},
		{"of several texts the row has to be at one", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)
			first := textOf(t, db, m)
			require.NoError(t, db.Model(m).Update("price", 30).Error)
			second := textOf(t, db, m)

			require.NoError(t, db.Model(k.byID(m)).Clauses(occ.ExpectText("x", first, second)).Update("price", 40).Error)
			require.Equal(t, 40, k.price(t, db, m))
			require.ErrorIs(t, db.Model(k.byID(m)).Clauses(occ.ExpectText("x", first, second)).Update("price", 50).Error, occ.ErrStaleData)
			require.Equal(t, 40, k.price(t, db, m))
		}},
		{"AnyVersion writes a row that is there, whatever its version, and inserts none", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)
			require.NoError(t, db.Model(m).Update("price", 30).Error)
			before := textOf(t, db, m)

			require.NoError(t, db.Model(k.byID(m)).Clauses(occ.ExpectText(occ.AnyVersion)).Update("price", 40).Error)
			require.Equal(t, 40, k.price(t, db, m))
			require.NotEqual(t, before, textOf(t, db, k.stored(t, db, m)))
			require.NoError(t, db.Model(k.new()).Where("id = ?", m.part().ID).Clauses(occ.ExpectText("x", occ.AnyVersion)).Update("price", 41).Error)
			require.Equal(t, 41, k.price(t, db, m))
			saved := k.stored(t, db, m)
			saved.part().Price = 42
			require.NoError(t, db.Clauses(occ.ExpectText(occ.AnyVersion)).Save(saved).Error)
			require.Equal(t, 42, k.price(t, db, m))
			require.Equal(t, textOf(t, db, k.stored(t, db, m)), textOf(t, db, saved))
			require.NoError(t, db.Clauses(occ.ExpectText(occ.AnyVersion)).Delete(k.byID(m)).Error)

			for _, write := range []func() error{
				func() error {
					return db.Model(k.byID(m)).Clauses(occ.ExpectText(occ.AnyVersion)).Update("price", 50).Error
				},
				func() error { return db.Clauses(occ.ExpectText(occ.AnyVersion)).Save(k.byID(m)).Error },
				func() error { return db.Clauses(occ.ExpectText(occ.AnyVersion)).Delete(k.byID(m)).Error },
			} {
				require.Equal(t, occ.ReasonDeleted, Stale(t, write()).Reason)
			}
			require.NoError(t, db.Unscoped().Delete(k.new(), m.part().ID).Error)
			require.Equal(t, occ.ReasonDeleted, Stale(t, db.Clauses(occ.ExpectText(occ.AnyVersion)).Save(k.byID(m)).Error).Reason)
			require.ErrorIs(t, db.Unscoped().First(k.new(), m.part().ID).Error, gorm.ErrRecordNotFound)
		}},
		{"own conditions hold beside a text", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)
			for _, text := range []string{textOf(t, db, m), occ.AnyVersion} {
				result := db.Model(k.byID(m)).Where("price > ? OR price > ?", 100, 200).Clauses(occ.ExpectText(text)).Update("price", 40)

				require.NoError(t, result.Error)
				require.Zero(t, result.RowsAffected)
				require.Equal(t, 10, k.price(t, db, m))
			}
		}},
		{"every row of a slice has to be at one of the texts", func(t *testing.T, db *gorm.DB) {
			first, second := k.newPart(t, db), k.newPart(t, db)
			require.NoError(t, db.Model(second).Update("price", 30).Error)
			texts := []string{textOf(t, db, first), textOf(t, db, second)}
			slice := func() any { return k.slice(k.byID(first), k.byID(second)) }

			require.NoError(t, db.Model(slice()).Clauses(occ.ExpectText(texts...)).Update("price", 40).Error)
			require.Equal(t, []int{40, 40}, []int{k.price(t, db, first), k.price(t, db, second)})
			require.NoError(t, db.Model(k.stored(t, db, second)).Update("price", 41).Error)
			texts = []string{textOf(t, db, k.stored(t, db, first)), textOf(t, db, k.stored(t, db, second)) + "x"}
			err := db.Model(slice()).Clauses(occ.ExpectText(texts...)).Update("price", 50).Error
			require.Equal(t, 1, Stale(t, err).Index)
			require.Equal(t, []int{40, 41}, []int{k.price(t, db, first), k.price(t, db, second)})
			require.NoError(t, db.Clauses(occ.ExpectText(occ.AnyVersion)).Delete(slice()).Error)
		}},
	}
}

func (k partKind) price(t *testing.T, db *gorm.DB, m partOfKind) int {
	return k.stored(t, db, m).part().Price
}

func TestTheTextOfATokenIsOfItAlone(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"another column does not change it", func(t *testing.T, db *gorm.DB) {
			mine := tokenPart{TokenColumns: TokenColumns{Name: "pen", Price: 10}}
			require.NoError(t, db.Create(&mine).Error)
			text := textOf(t, db, &mine)

			require.NoError(t, db.Model(&mine).Update("name", "pencil").Error)
			require.Equal(t, text, textOf(t, db, &mine))
			request := tokenPart{TokenColumns: TokenColumns{ID: mine.ID}}
			require.NoError(t, db.Model(&request).Clauses(occ.ExpectText(text)).Update("price", 20).Error)
			require.NotEqual(t, text, textOf(t, db, &request))
			require.ErrorIs(t, db.Model(&mine).Clauses(occ.ExpectText(text)).Update("name", "quill").Error, occ.ErrStaleData)

			stored := Reload[tokenPart](t, db, mine.ID)
			require.Equal(t, TokenColumns{ID: mine.ID, Name: "pencil", Price: 20}, stored.TokenColumns)
			require.Equal(t, textOf(t, db, &request), textOf(t, db, &stored))
		}},
	}, &tokenPart{})
}

// Verse has a key of two columns.
type Verse struct {
	Book uint `gorm:"primaryKey;autoIncrement:false"`
	Line uint `gorm:"primaryKey;autoIncrement:false"`
	Text string
}

type (
	typedVerse[V any] struct {
		Verse
		Version V `gorm:"version"`
	}
	snapshotVerse struct {
		Verse
		occ.Snapshot
	}
)

func (typedVerse[V]) TableName() string { return "verses" }
func (v *Verse) verse() *Verse          { return v }

func TestVersionTextOfACompositeKey(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), verseBehaviours[typedVerse[int64]](), &typedVerse[int64]{})
	Run(t, testdb.All(), verseBehaviours[typedVerse[time.Time]](), &typedVerse[time.Time]{})
	Run(t, testdb.All(), verseBehaviours[typedVerse[uuid.UUID]](), &typedVerse[uuid.UUID]{})
	Run(t, testdb.All(), verseBehaviours[snapshotVerse](), &snapshotVerse{})
}

func verseBehaviours[M any, P interface {
	*M
	verse() *Verse
}]() []Behaviour {
	at := func(line uint) *M {
		m := new(M)
		P(m).verse().Book, P(m).verse().Line = 1, line
		return m
	}
	text := func(t *testing.T, db *gorm.DB, line uint) (text, version string) {
		m := new(M)
		require.NoError(t, db.First(m, "book = ? AND line = ?", 1, line).Error)
		return P(m).verse().Text, textOf(t, db, m)
	}
	texts := func(t *testing.T, db *gorm.DB) (texts [2]string) {
		texts[0], _ = text(t, db, 1)
		texts[1], _ = text(t, db, 2)
		return texts
	}
	return []Behaviour{
		{"a text is compared at the row that the whole key names", func(t *testing.T, db *gorm.DB) {
			first, second := at(1), at(2)
			P(first).verse().Text, P(second).verse().Text = "a", "b"
			require.NoError(t, db.Create(first).Error)
			require.NoError(t, db.Create(second).Error)
			_, old := text(t, db, 1)

			require.NoError(t, db.Model(at(1)).Clauses(occ.ExpectText(old)).Update("text", "c").Error)
			require.Equal(t, [2]string{"c", "b"}, texts(t, db))
			_, now := text(t, db, 1)
			require.NoError(t, db.Model(new(M)).Where("book = ? AND line = ?", 1, 1).Clauses(occ.ExpectText(now)).Update("text", "d").Error)
			require.Equal(t, [2]string{"d", "b"}, texts(t, db))
			for _, write := range []func() error{
				func() error { return db.Model(at(1)).Clauses(occ.ExpectText(old)).Update("text", "e").Error },
				func() error { return db.Model(at(1)).Clauses(occ.ExpectText(old, now)).Update("text", "e").Error },
				func() error { return db.Clauses(occ.ExpectText(old)).Save(at(1)).Error },
				func() error { return db.Clauses(occ.ExpectText(old)).Delete(at(1)).Error },
				func() error {
					return db.Model(new(M)).Where("book = ? AND line = ?", 1, 1).Clauses(occ.ExpectText(old)).Update("text", "e").Error
				},
			} {
				row := Stale(t, write())
				require.Equal(t, occ.ReasonChanged, row.Reason)
				require.Equal(t, map[string]any{"book": uint(1), "line": uint(1)}, row.PrimaryKey)
				require.Equal(t, [2]string{"d", "b"}, texts(t, db))
			}
			row := Stale(t, db.Model(at(0)).Clauses(occ.ExpectText(now)).Update("text", "e").Error)
			require.Equal(t, occ.ReasonDeleted, row.Reason, "a part of the key is no key")
			require.Equal(t, [2]string{"d", "b"}, texts(t, db))
		}},
	}
}

func TestExpectTextSendsOneStatement(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"for one version", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			session, log := Record(db)

			require.NoError(t, session.Model(&Product{ID: mine.ID}).Clauses(occ.ExpectText("1")).Update("price", 70).Error)

			require.Len(t, slices.DeleteFunc(log.Sent(""), func(sql string) bool { return strings.HasPrefix(sql, "SAVEPOINT") }), 1)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 2}, Reload[Product](t, db, mine.ID))
		}},
	}, &Product{})
}

func TestVersionTextRefusesWhatIsNoModel(t *testing.T) {
	t.Parallel()
	Run(t, testdb.Of("sqlite"), []Behaviour{
		{"with an error that says what to pass", func(t *testing.T, db *gorm.DB) {
			for want, model := range map[string]any{
				"is nil":                     nil,
				"the model is nil":           (*Product)(nil),
				"pass a struct":              []Product{{}},
				"model Plain has no version": &Plain{},
			} {
				text, err := occ.VersionText(db, model)
				require.ErrorContains(t, err, want)
				require.Empty(t, text)
			}
			_, err := occ.VersionText(Reopen(t, db, gorm.Config{}), &Product{})
			require.ErrorContains(t, err, "db.Use(occ.New())")
			_, err = occ.VersionText(db, fmt.Stringer(nil))
			require.Error(t, err)
		}},
	}, &Product{}, &Plain{})
}
