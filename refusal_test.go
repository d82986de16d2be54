package occ_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

func TestReasons(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"changed: the row is at another version", func(t *testing.T, db *gorm.DB) {
			mine, _ := Pair(t, db)

			err := db.Model(&mine).Update("price", 70).Error

			require.Equal(t, &occ.StaleDataError{Op: occ.OpUpdate, Table: "products", Rows: []occ.StaleRow{{
				PrimaryKey: map[string]any{"id": mine.ID},
				Expected:   occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonChanged,
			}}}, err)
			require.NotErrorIs(t, err, occ.ErrVersionMissing)
			require.EqualError(t, err, `occ: stale data: update of "products" refused: row id=1 changed: expected version 1, found 2`)
		}},
		{"deleted: there is no such row", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			require.NoError(t, db.Delete(&Product{}, mine.ID).Error)

			err := db.Delete(&mine).Error

			require.Equal(t, occ.StaleRow{
				PrimaryKey: map[string]any{"id": mine.ID}, Expected: occ.Version(1), Reason: occ.ReasonDeleted,
			}, Stale(t, err))
			require.EqualError(t, err, `occ: stale data: delete of "products" refused: row id=1 was deleted: expected version 1`)
		}},
		{"deleted: a model that was never loaded and has no row", func(t *testing.T, db *gorm.DB) {
			err := db.Model(&Product{ID: 99}).Update("price", 70).Error

			require.Equal(t, occ.StaleRow{
				PrimaryKey: map[string]any{"id": uint(99)}, Expected: occ.Version(0), Reason: occ.ReasonDeleted,
			}, Stale(t, err))
			require.NotErrorIs(t, err, occ.ErrVersionMissing)
		}},
		{"missing: the version was never loaded, and the message says the ways out", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)

			err := db.Model(&Product{ID: stored.ID}).Update("price", 70).Error

			require.ErrorIs(t, err, occ.ErrVersionMissing)
			require.Equal(t, occ.StaleRow{
				PrimaryKey: map[string]any{"id": stored.ID},
				Expected:   occ.Version(0), Actual: occ.Version(1), Reason: occ.ReasonMissing,
			}, Stale(t, err))
			for _, way := range []string{"load the row", "Where(", "occ.Expect", "occ.Unchecked"} {
				require.ErrorContains(t, err, way)
			}
			require.NotContains(t, err.Error(), "\n")
		}},
		{"missing: the version was left out of a Select", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)
			var mine Product
			require.NoError(t, db.Select("id", "price").First(&mine, stored.ID).Error)

			require.ErrorIs(t, db.Model(&mine).Update("price", 70).Error, occ.ErrVersionMissing)

			require.Equal(t, stored, Reload[Product](t, db, stored.ID))
		}},
		{"ahead: the transaction that wrote the model was rolled back", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			require.ErrorIs(t, db.Transaction(func(tx *gorm.DB) error {
				require.NoError(t, tx.Model(&mine).Update("price", 70).Error)
				return ErrHook
			}), ErrHook)

			err := db.Model(&mine).Update("price", 71).Error

			require.Equal(t, occ.StaleRow{
				PrimaryKey: map[string]any{"id": mine.ID},
				Expected:   occ.Version(2), Actual: occ.Version(1), Reason: occ.ReasonAhead,
			}, Stale(t, err))
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 10, Version: 1}, Reload[Product](t, db, mine.ID))
		}},
		{"unknown: the row cannot be read", func(t *testing.T, db *gorm.DB) {
			mine, theirs := Pair(t, db)
			unreadable := Reopen(t, db, gorm.Config{}, occ.New())
			require.NoError(t, unreadable.Callback().Row().Before("gorm:row").Register("fail", func(tx *gorm.DB) {
				_ = tx.AddError(ErrHook)
			}))

			err := unreadable.Model(&mine).Update("price", 70).Error

			require.Equal(t, occ.StaleRow{
				PrimaryKey: map[string]any{"id": mine.ID}, Expected: occ.Version(1), Reason: occ.ReasonUnknown,
			}, Stale(t, err))
			require.Equal(t, theirs, Reload[Product](t, db, mine.ID))
		}},
		{"a key of two parts is named with both", func(t *testing.T, db *gorm.DB) {
			err := db.Model(&Seat{Number: 5, Version: 1}).Update("guest", "Ann").Error

			require.Equal(t, map[string]any{"room": 0, "number": 5}, Stale(t, err).PrimaryKey)
			require.ErrorContains(t, err, "row number=5,room=0")
		}},
		{"many texts of a client are in the error, and the first few of them in its text", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			texts := make([]string, 40_000)
			for i := range texts {
				texts[i] = strconv.Itoa(i + 7)
			}

			err := db.Model(&mine).Clauses(occ.ExpectText(texts...)).Update("price", 70).Error

			require.Equal(t, texts, Stale(t, err).Expected)
			require.EqualError(t, err, `occ: stale data: update of "products" refused: row id=1 changed: expected version "[7 8 9 10 11 and 39995 more]", found 1`)
			require.Less(t, len(logLine(err)), 1000)
		}},
		{"only a refusal reads", func(t *testing.T, db *gorm.DB) {
			mine, _ := Pair(t, db)
			recorded, log := Record(db)

			require.ErrorIs(t, recorded.Model(&mine).Update("price", 70).Error, occ.ErrStaleData)

			require.Len(t, log.Sent("UPDATE"), 1)
			require.Len(t, log.Sent("SELECT"), 1)
		}},
	}, &Product{}, &Seat{})
}

// logLine is an error as log/slog writes it.
func logLine(err error) string {
	var line bytes.Buffer
	slog.New(slog.NewJSONHandler(&line, nil)).Info("", "err", err)
	return line.String()
}

func TestConflictHook(t *testing.T) {
	t.Parallel()
	type seen struct {
		mu       sync.Mutex
		refusals []*occ.StaleDataError
		values   []any
	}
	type key struct{}
	watch := func(t *testing.T, db *gorm.DB) (*gorm.DB, *occ.Plugin, *seen) {
		var s seen
		watched, plugin := WithPlugin(t, db, occ.WithConflictHook(func(ctx context.Context, err *occ.StaleDataError) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.refusals, s.values = append(s.refusals, err), append(s.values, ctx.Value(key{}))
		}))
		return watched, plugin, &s
	}
	Run(t, testdb.All(), []Behaviour{
		{"the hook is called once for every refused write, with its context and error", func(t *testing.T, db *gorm.DB) {
			watched, _, seen := watch(t, db)
			watched = watched.WithContext(context.WithValue(t.Context(), key{}, "request"))
			mine, theirs := Pair(t, db)

			errs := []error{
				watched.Model(&mine).Update("price", 70).Error,
				watched.Save(&mine).Error,
				watched.Delete(&mine).Error,
				watched.Save(&Product{ID: mine.ID}).Error,
				watched.Transaction(func(tx *gorm.DB) error { return tx.Model(&mine).Update("price", 70).Error }),
			}
			require.NoError(t, watched.Model(&theirs).Update("price", 70).Error)
			require.NoError(t, watched.Where("price > 1000").Save(&theirs).Error)

			require.Len(t, seen.refusals, len(errs))
			for i, err := range errs {
				require.Same(t, err, seen.refusals[i])
				require.Equal(t, "request", seen.values[i])
			}
		}},
		{"the hook may use the database", func(t *testing.T, db *gorm.DB) {
			var stored Product
			mine, theirs := Pair(t, db)
			watched, _ := WithPlugin(t, db, occ.WithConflictHook(func(context.Context, *occ.StaleDataError) {
				stored = Reload[Product](t, db, mine.ID)
			}))

			require.ErrorIs(t, watched.Model(&mine).Update("price", 70).Error, occ.ErrStaleData)

			require.Equal(t, theirs, stored)
		}},
		{"Stats count calls by table", func(t *testing.T, db *gorm.DB) {
			watched, plugin, _ := watch(t, db)
			require.Empty(t, plugin.Stats())
			mine, theirs := Pair(t, db)
			note := Note{Text: "a"}

			require.NoError(t, watched.Create(&note).Error)
			require.NoError(t, watched.Delete(&note).Error)
			require.NoError(t, watched.Model(&theirs).Update("price", 70).Error)
			require.ErrorIs(t, watched.Model(&mine).Update("price", 70).Error, occ.ErrStaleData)
			require.ErrorIs(t, watched.Delete(&mine).Error, occ.ErrStaleData)
			require.NoError(t, watched.Model(&mine).Clauses(occ.Unchecked()).Update("price", 71).Error)
			require.NoError(t, watched.Model(&Product{}).Where("id = ?", mine.ID).Update("price", 72).Error)

			stats := plugin.Stats()
			require.Equal(t, occ.TableStats{Checked: 3, Refused: 2, Blind: 1}, stats["products"])
			require.Equal(t, occ.TableStats{Checked: 1}, stats["notes"])
			stats["products"] = occ.TableStats{} // a copy
			require.Equal(t, occ.TableStats{Checked: 3, Refused: 2, Blind: 1}, plugin.Stats()["products"])
		}},
	}, &Product{}, &Note{})
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"a nil model is an error that names it", func(t *testing.T, db *gorm.DB) {
			var none *Product
			stored := Create(t, db)

			require.ErrorIs(t, db.Model(none).Update("price", 70).Error, gorm.ErrMissingWhereClause)
			require.ErrorIs(t, db.Model(none).UpdateColumn("price", 70).Error, gorm.ErrMissingWhereClause)
			for _, err := range []error{
				db.Delete(none).Error,
				db.Create(none).Error,
				db.Save(none).Error,
			} {
				require.ErrorIs(t, err, gorm.ErrInvalidValue)
				require.ErrorContains(t, err, "Product")
			}
			RequireProducts(t, db, stored)
		}},
		{"no model at all is an error", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)

			require.Error(t, db.Where("1 = 1").Update("price", 70).Error)
			require.Error(t, db.Where("1 = 1").Delete(nil).Error)

			RequireProducts(t, db, stored)
		}},
		{"a nil payload is an error", func(t *testing.T, db *gorm.DB) {
			var none *Product
			var noMap *map[string]any
			mine := Create(t, db)

			for _, payload := range []any{none, noMap} {
				for _, err := range []error{
					db.Model(&mine).Updates(payload).Error,
					db.Model(&mine).UpdateColumns(payload).Error,
					db.Model(&Product{}).Where("id = ?", mine.ID).Updates(payload).Error,
				} {
					require.ErrorIs(t, err, gorm.ErrInvalidValue)
				}
			}
			require.Equal(t, occ.Version(1), mine.Version)
			RequireProducts(t, db, mine)
		}},
		{"a nil pointer in a slice is an error that names it", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)
			mine := stored
			slice := []*Product{&mine, nil}

			for _, err := range []error{
				db.Create([]*Product{{Name: "ink"}, nil}).Error,
				db.Save(&slice).Error,
				db.Model(&slice).Update("price", 70).Error,
				db.Delete(&slice).Error,
			} {
				require.ErrorContains(t, err, "element 1 of the Product slice")
			}
			require.Equal(t, stored, mine)
			RequireProducts(t, db, stored)
		}},
		{"an empty slice writes nothing", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)
			empty, none := []Product{}, []*Product(nil)

			for _, res := range []*gorm.DB{
				db.Create(&empty), db.Create(&none),
				db.Model(&empty).Update("price", 70), db.Model(&none).UpdateColumn("price", 70),
				db.Delete(&empty), db.Delete(&none),
			} {
				require.Error(t, res.Error) // GORM's ErrEmptySlice or ErrMissingWhereClause
				require.NotErrorIs(t, res.Error, occ.ErrStaleData)
				require.Zero(t, res.RowsAffected)
			}
			RequireProducts(t, db, stored)
		}},
		{"a cancelled context is its own error, and leaves row and model alone", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			cancelled, fresh := db.WithContext(ctx), Product{ID: 99}

			for _, err := range []error{
				cancelled.Model(&mine).Update("price", 70).Error,
				cancelled.Save(&mine).Error,
				cancelled.Delete(&mine).Error,
				cancelled.Create(&fresh).Error,
				cancelled.Save(&fresh).Error,
				cancelled.Model(&mine).Clauses(occ.Unchecked()).Update("price", 70).Error,
			} {
				require.ErrorIs(t, err, context.Canceled)
				require.NotErrorIs(t, err, occ.ErrStaleData)
			}
			require.Equal(t, []occ.Version{1, 0}, []occ.Version{mine.Version, fresh.Version})
			RequireProducts(t, db, Product{ID: mine.ID, Name: "pen", Price: 10, Version: 1})
		}},
		{"a closed database is its own error, and leaves the model alone", func(t *testing.T, db *gorm.DB) {
			mine, fresh := Create(t, db), Product{ID: 99}
			pool, err := db.DB()
			require.NoError(t, err)
			require.NoError(t, pool.Close())

			for _, err := range []error{
				db.Model(&mine).Update("price", 70).Error,
				db.Save(&mine).Error,
				db.Delete(&mine).Error,
				db.Create(&fresh).Error,
				db.Save(&fresh).Error,
				db.Model(&mine).Clauses(occ.Unchecked()).Update("price", 70).Error,
			} {
				require.ErrorContains(t, err, "database is closed")
				require.NotErrorIs(t, err, occ.ErrStaleData)
			}
			require.Equal(t, []occ.Version{1, 0}, []occ.Version{mine.Version, fresh.Version})
		}},
		{"a statement that fails leaves row and model alone", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)

			for _, err := range []error{
				db.Model(&mine).Update("no_such_column", 70).Error,
				db.Model(&mine).Where("no_such_column = 1").Update("price", 70).Error,
				db.Where("no_such_column = 1").Delete(&mine).Error,
			} {
				require.Error(t, err)
				require.NotErrorIs(t, err, occ.ErrStaleData)
			}
			require.Equal(t, occ.Version(1), mine.Version)
			RequireProducts(t, db, Product{ID: mine.ID, Name: "pen", Price: 10, Version: 1})
		}},
		{"an error of the session stops the write", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			broken := db.Session(&gorm.Session{})
			_ = broken.AddError(ErrHook)

			require.ErrorIs(t, broken.Model(&mine).Update("price", 70).Error, ErrHook)

			require.Equal(t, occ.Version(1), mine.Version)
			RequireProducts(t, db, Product{ID: mine.ID, Name: "pen", Price: 10, Version: 1})
		}},
	}, &Product{})
}

func TestErrorIsAValue(t *testing.T) {
	t.Parallel()
	refused := &occ.StaleDataError{Op: occ.OpUpdate, Table: "products", Err: ErrHook, Rows: []occ.StaleRow{
		{PrimaryKey: map[string]any{"id": 1}, Expected: nil, Reason: occ.ReasonUnknown},
		{Index: 1, Reason: occ.ReasonDeleted, Expected: (*int64)(nil)},
	}}

	require.EqualError(t, refused, `occ: stale data: update of "products" refused: row id=1 is not at expected version none; `+
		`row without a primary key was deleted: expected version none: the hook failed`)
	require.ErrorIs(t, refused, occ.ErrStaleData)
	require.NotErrorIs(t, refused, occ.ErrVersionMissing)
	require.ErrorIs(t, refused, ErrHook)
	require.ErrorIs(t, errors.Join(ErrHook, refused), occ.ErrStaleData)

	refused.Rows = make([]occ.StaleRow, 1000)
	require.Less(t, len(refused.Error()), 1000)
}
