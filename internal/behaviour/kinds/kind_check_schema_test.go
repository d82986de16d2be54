package kinds_test

import (
	"errors"
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

// checked is a model with a version of any type, in a table that a test makes by itself.
type checked[V any] struct {
	ID      uint
	Price   int
	Version V `gorm:"version"`
}

func (checked[V]) TableName() string { return "checked" }

// narrow are versions whose columns the model itself narrows.
type (
	checkedSize struct {
		ID      uint
		Version int `gorm:"version;size:16"`
	}
	checkedPrecision struct {
		ID      uint
		Version time.Time `gorm:"version;precision:3"`
	}
)

func TestCheckSchemaAfterAMigration(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Use(occ.New(occ.WithGenerator("stamp", &stamps{}))))
		for _, model := range []any{
			&Product{}, &Note{}, &counted[int8]{}, &counted[uint64]{}, &counted[*int16]{}, &watched[time.Time]{},
			&orderLine{}, &unkeyed{}, &countedByTrigger{}, &dated{}, &checkedSize{}, &checkedPrecision{}, &stamped{}, &PriceTag{},
		} {
			require.NoError(t, db.AutoMigrate(model))
			require.NoError(t, occ.CheckSchema(db, model), "%T", model)
		}
		for _, model := range []any{&checked[string]{}, &checked[uuid.UUID]{}, &checked[bareID]{}} {
			require.NoError(t, db.Migrator().DropTable(model))
			require.NoError(t, db.AutoMigrate(model))
			require.NoError(t, occ.CheckSchema(db, model), "%T", model)
		}
		require.NoError(t, occ.CreateTriggers(db, &Product{}, &orderLine{}))
		require.NoError(t, occ.CheckSchema(db, &Product{}, &orderLine{}))
	})
}

// TestCheckSchemaSaysWhatDoesNotFit makes tables by hand, and runs the statement that is to mend them.
func TestCheckSchemaSaysWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		on     string // the dialect, where it is about one
		create []string
		model  any
		want   []string
		mend   map[string]string // by dialect; empty: there is none
	}{
		{"no table", "", nil, &checked[int64]{}, []string{"checked[int64]", "field Version", "there is no table", "migrate"}, nil},
		{"no column", "", []string{"CREATE TABLE checked (id bigint primary key, price int)"}, &checked[occ.Version]{},
			[]string{`no column "version"`}, map[string]string{
				"sqlite":   "ALTER TABLE `checked` ADD COLUMN `version` integer NOT NULL DEFAULT 1",
				"postgres": `ALTER TABLE "checked" ADD COLUMN "version" bigint NOT NULL DEFAULT 1`,
				"mysql":    "ALTER TABLE `checked` ADD COLUMN `version` bigint NOT NULL DEFAULT 1",
			}},
		{"NULLs", "", []string{"CREATE TABLE checked (id bigint primary key, price int, version bigint)", "INSERT INTO checked (id) VALUES (1)"},
			&checked[occ.Version]{}, []string{"holds NULLs"}, map[string]string{
				"sqlite":   "UPDATE `checked` SET `version` = 1 WHERE `version` IS NULL",
				"postgres": `UPDATE "checked" SET "version" = 1 WHERE "version" IS NULL`,
				"mysql":    "UPDATE `checked` SET `version` = 1 WHERE `version` IS NULL",
			}},
		{"a narrow integer", "postgres", []string{"CREATE TABLE checked (id bigint primary key, price int, version smallint)"}, &checked[int]{},
			[]string{"smallint", "too narrow", "32767"}, map[string]string{"postgres": `ALTER TABLE "checked" ALTER COLUMN "version" TYPE bigint USING CAST("version" AS bigint)`}},
		{"a narrow integer", "mysql", []string{"CREATE TABLE checked (id bigint primary key, price int, version tinyint)"}, &checked[int]{},
			[]string{"tinyint", "too narrow", "127"}, map[string]string{"mysql": "ALTER TABLE `checked` MODIFY COLUMN `version` bigint"}},
		{"a count in text", "postgres", []string{"CREATE TABLE checked (id bigint primary key, price int, version text)"}, &checked[int]{},
			[]string{"text", "cannot serve"}, map[string]string{"postgres": `ALTER TABLE "checked" ALTER COLUMN "version" TYPE bigint USING CAST("version" AS bigint)`}},
		{"a count in a double", "mysql", []string{"CREATE TABLE checked (id bigint primary key, price int, version double)"}, &checked[int]{},
			[]string{"double", "cannot serve"}, map[string]string{"mysql": "ALTER TABLE `checked` MODIFY COLUMN `version` bigint"}},
		{"a domain", "postgres", []string{"CREATE DOMAIN small AS smallint NOT NULL", "CREATE TABLE checked (id bigint primary key, price int, version small)"},
			&checked[int]{}, []string{"smallint", "too narrow"}, map[string]string{"postgres": `ALTER TABLE "checked" ALTER COLUMN "version" TYPE bigint USING CAST("version" AS bigint)`}},
		{"whole seconds", "mysql", []string{"CREATE TABLE checked (id bigint primary key, price int, version datetime)"}, &checked[time.Time]{},
			[]string{"datetime", "keeps 0 digits", "have 3"}, map[string]string{"mysql": "ALTER TABLE `checked` MODIFY COLUMN `version` datetime(3) NULL"}},
		{"whole seconds", "postgres", []string{"CREATE TABLE checked (id bigint primary key, price int, version timestamptz(0))"}, &checked[time.Time]{},
			[]string{"keeps 0 digits", "have 6"}, map[string]string{"postgres": `ALTER TABLE "checked" ALTER COLUMN "version" TYPE timestamptz USING CAST("version" AS timestamptz)`}},
		{"a date", "postgres", []string{"CREATE TABLE checked (id bigint primary key, price int, version date)"}, &checked[time.Time]{},
			[]string{"date", "cannot serve"}, map[string]string{"postgres": `ALTER TABLE "checked" ALTER COLUMN "version" TYPE timestamptz USING CAST("version" AS timestamptz)`}},
		{"a time in text", "sqlite", []string{"CREATE TABLE checked (id bigint primary key, price int, version text)"}, &checked[time.Time]{},
			[]string{"text", "cannot serve", "make the table anew"}, map[string]string{"sqlite": ""}},
		{"a short text", "postgres", []string{"CREATE TABLE checked (id bigint primary key, price int, version varchar(32))"}, &checked[string]{},
			[]string{"too narrow", "36"}, map[string]string{"postgres": `ALTER TABLE "checked" ALTER COLUMN "version" TYPE text USING CAST("version" AS text)`}},
		{"a short text", "mysql", []string{"CREATE TABLE checked (id bigint primary key, price int, version char(35))"}, &checked[string]{},
			[]string{"too narrow", "36"}, map[string]string{"mysql": "ALTER TABLE `checked` MODIFY COLUMN `version` longtext"}},
		{"a UUID in bytes", "mysql", []string{"CREATE TABLE checked (id bigint primary key, price int, version binary(16))"}, &checked[string]{},
			[]string{"binary(16)", "cannot serve"}, map[string]string{"mysql": "ALTER TABLE `checked` MODIFY COLUMN `version` longtext"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			testdb.Each(t, func(t *testing.T, db *gorm.DB) {
				if tt.on != "" && tt.on != db.Name() {
					return
				}
				require.NoError(t, db.Use(occ.New()))
				for _, statement := range tt.create {
					require.NoError(t, db.Exec(statement).Error)
				}

				err := occ.CheckSchema(db, tt.model)

				for _, want := range append(tt.want, "field Version") {
					require.ErrorContains(t, err, want)
				}
				mend := tt.mend[db.Name()]
				if mend == "" {
					return
				}
				require.ErrorContains(t, err, "\n\t"+mend+";")
				require.NoError(t, db.Exec(mend).Error)
				require.NoError(t, occ.CheckSchema(db, tt.model))
			})
		})
	}
}

func TestAutoMigrateOverNULLs(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Use(occ.New()))
		require.NoError(t, db.Exec("CREATE TABLE checkeds (id bigint primary key, price int, version bigint)").Error)
		require.NoError(t, db.Exec("INSERT INTO checkeds (id, price) VALUES (1, 2)").Error)
		type Checked checked[occ.Version]

		err := db.AutoMigrate(&Checked{})

		require.ErrorContains(t, err, "holds NULLs")
		require.Error(t, errors.Unwrap(err), "the database's own error is in it")
		_, mend, _ := strings.Cut(err.Error(), "\n\t")
		mend, _, _ = strings.Cut(mend, ";")
		require.NoError(t, db.Exec(mend).Error)
		require.NoError(t, db.AutoMigrate(&Checked{}))
		var stored Checked
		require.NoError(t, db.First(&stored).Error)
		require.Equal(t, Checked{ID: 1, Price: 2, Version: 1}, stored)
		require.NoError(t, occ.CheckSchema(db, &Checked{}))
	})
}

func TestAutoMigrateOverNULLsOfOthers(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Use(occ.New()))
		require.NoError(t, db.Exec("CREATE TABLE labelled (id bigint primary key, label bigint)").Error)
		require.NoError(t, db.Exec("INSERT INTO labelled (id) VALUES (1)").Error)
		type Labelled struct {
			ID    uint
			Label int64 `gorm:"not null;default:1"`
		}

		err := db.Table("labelled").AutoMigrate(&Labelled{})

		require.Error(t, err)
		require.NotContains(t, err.Error(), "occ:")
	})
}

func TestCheckSchemaNamesAllOfIt(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.ErrorContains(t, occ.CheckSchema(db, &Product{}), "not registered")
		require.NoError(t, db.Use(occ.New()))
		require.NoError(t, db.AutoMigrate(&Note{}, &PriceTag{}))

		err := occ.CheckSchema(db, &Product{}, &Note{}, &PriceTag{}, &unkeyed{}, 5)

		require.ErrorContains(t, err, "model Product, field Version")
		require.ErrorContains(t, err, "model unkeyed, field Version")
		require.ErrorContains(t, err, "int is no model")
		require.NotContains(t, err.Error(), "Note")
		require.NotContains(t, err.Error(), "PriceTag")
	})
}
