package occ_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

func TestWithoutADatabase(t *testing.T) {
	t.Parallel()
	p := &Product{ID: 1}
	fc := func(*gorm.DB) error { panic("not to be run") }
	for name, call := range map[string]func(db *gorm.DB) error{
		"CheckSchema":    func(db *gorm.DB) error { return occ.CheckSchema(db, p) },
		"CreateTriggers": func(db *gorm.DB) error { return occ.CreateTriggers(db, p) },
		"Current":        func(db *gorm.DB) error { return second(occ.Current(db, p)) },
		"DropTriggers":   func(db *gorm.DB) error { return occ.DropTriggers(db, p) },
		"Merge":          func(db *gorm.DB) error { _, _, err := occ.Merge(db, p, p, p); return err },
		"Rebase":         func(db *gorm.DB) error { return occ.Rebase(db, p, p) },
		"Retry":          func(db *gorm.DB) error { return occ.Retry(t.Context(), db, fc) },
		"Touch":          func(db *gorm.DB) error { return occ.Touch(db, p) },
		"Transaction":    func(db *gorm.DB) error { return occ.Transaction(db, fc) },
		"TriggerSQL":     func(db *gorm.DB) error { _, _, err := occ.TriggerSQL(db, p); return err },
		"Verify":         func(db *gorm.DB) error { return occ.Verify(db, p) },
		"VersionText":    func(db *gorm.DB) error { return second(occ.VersionText(db, p)) },
		"db.Use":         func(db *gorm.DB) error { return occ.New().Initialize(db) },
	} {
		for _, db := range []*gorm.DB{nil, {}} {
			err := call(db)
			require.ErrorIs(t, err, gorm.ErrInvalidDB, name)
			require.ErrorContains(t, err, "occ: ", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestNilArguments(t *testing.T) {
	Run(t, testdb.All(), []Behaviour{
		{"a nil option is none", func(t *testing.T, db *gorm.DB) {
			require.NotPanics(t, func() { occ.New(nil, occ.WithBlindWrites(), nil) })
			runs := 0
			require.NoError(t, occ.Retry(t.Context(), db, func(*gorm.DB) error { runs++; return nil }, nil, occ.WithMaxAttempts(1), nil))
			require.Equal(t, 1, runs)
			require.NoError(t, occ.Transaction(db, func(*gorm.DB) error { return nil }, nil))
		}},
		{"Retry without a context is an error", func(t *testing.T, db *gorm.DB) {
			var none context.Context
			err := occ.Retry(none, db, func(*gorm.DB) error { panic("not to be run") })
			require.EqualError(t, err, "occ: Retry was given no context: it is nil")
		}},
		{"a model that is nil is an error", func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)
			for name, err := range map[string]error{
				"CheckSchema":    occ.CheckSchema(db, nil),
				"CreateTriggers": occ.CreateTriggers(db, nil),
				"Current":        second(occ.Current[Product](db, nil)),
				"DropTriggers":   occ.DropTriggers(db, nil),
				"Merge":          third(occ.Merge(db, &p, nil, &p)),
				"Rebase":         occ.Rebase(db, &p, nil),
				"Touch":          occ.Touch(db, nil),
				"Verify":         occ.Verify(db, nil),
				"VersionText":    second(occ.VersionText(db, nil)),
			} {
				require.ErrorContains(t, err, "occ: ", name)
			}
		}},
		{"a version that is nil is an error of the statement", func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)
			require.ErrorContains(t, db.Model(&p).Clauses(occ.Expect(nil)).Update("price", 1).Error, "occ: ")
			require.ErrorContains(t, db.Model(&p).Clauses(occ.ExpectText()).Update("price", 1).Error, "occ: ")
		}},
	}, &Product{})
}

func third[A, B any](_ A, _ B, err error) error { return err }
