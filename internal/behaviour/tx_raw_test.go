package behaviour_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// write stands among the statements of a test for a write of a model.
const write = "write"

// inTransaction sends statements in an occ.Transaction, and returns the errors of each and of all.
func inTransaction(db *gorm.DB, p *Product, statements ...string) (errs []error, err error) {
	err = occ.Transaction(db, func(tx *gorm.DB) error {
		for _, statement := range statements {
			if statement == write {
				errs = append(errs, tx.Model(p).Update("price", gorm.Expr("price + 1")).Error)
			} else {
				errs = append(errs, tx.Exec(statement).Error)
			}
		}
		return nil
	})
	return errs, err
}

// quoteNames writes names in the quotes of MySQL where a test has them in those of the standard.
func quoteNames(db *gorm.DB, statements []string) []string {
	if db.Name() != "mysql" {
		return statements
	}
	return strings.Split(strings.ReplaceAll(strings.Join(statements, "\x00"), `"`, "`"), "\x00")
}

func TestRawSavepointsPutVersionsBack(t *testing.T) {
	for name, statements := range map[string][]string{
		"a comment before it":                {"SAVEPOINT a", write, "/* c */ ROLLBACK TO a"},
		"a comment of a line before it":      {"SAVEPOINT a", write, "-- c\nROLLBACK TO a"},
		"a comment behind it":                {"SAVEPOINT a", write, "ROLLBACK TO a -- c"},
		"a comment in it":                    {"/* c */ SAVEPOINT a", write, "ROLLBACK /* c */ TO a /* c */"},
		"a name with a space":                {`SAVEPOINT "a b"`, write, `ROLLBACK TO "a b"`},
		"a name with a semicolon":            {`SAVEPOINT "a;b"`, write, `ROLLBACK TO "a;b"`},
		"a name in quotes and without":       {`SAVEPOINT "a"`, write, "ROLLBACK TO a"},
		"several lines":                      {"SAVEPOINT\n\ta", write, "ROLLBACK\nTO\nSAVEPOINT\na\n;"},
		"one of the same name is released":   {"SAVEPOINT a", "SAVEPOINT a", write, "RELEASE SAVEPOINT a", "SAVEPOINT a", write, "ROLLBACK TO a"},
		"a later one is released":            {"SAVEPOINT a", write, "SAVEPOINT b", write, "RELEASE SAVEPOINT b", "ROLLBACK TO a"},
		"it is gone back to twice":           {"SAVEPOINT a", write, "SAVEPOINT b", write, "ROLLBACK TO a", write, "ROLLBACK TO a"},
		"a write before and after":           {write, "SAVEPOINT a", write, "ROLLBACK TO a", write},
		"the same name, and back to each":    {"SAVEPOINT a", write, "SAVEPOINT b", "SAVEPOINT a", write, "ROLLBACK TO a", "ROLLBACK TO b"},
		"one that is released is not a mark": {"SAVEPOINT a", "SAVEPOINT b", write, "RELEASE SAVEPOINT b", write, "ROLLBACK TO a"},
	} {
		Run(t, testdb.All(), []Behaviour{{name, func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)

			errs, err := inTransaction(db, &p, quoteNames(db, statements)...)

			require.NoError(t, errors.Join(errs...))
			require.NoError(t, err)
			require.Equal(t, Reload[Product](t, db, p.ID).Version, p.Version)
			require.NoError(t, db.Model(&p).Update("price", 5).Error)
		}}}, &Product{})
	}
}

// TestRawSavepointsOfOneName has what MariaDB and MySQL do not: savepoints that hide others of their name, and texts of several statements.
func TestRawSavepointsOfOneName(t *testing.T) {
	for name, statements := range map[string][]string{
		"several statements in one text":       {"SAVEPOINT a", write, "SELECT 1; ROLLBACK TO a"},
		"savepoints in one text":               {write, "SAVEPOINT a; SAVEPOINT b", write, "ROLLBACK TO a; SELECT 1"},
		"the inner one of a name is released":  {"SAVEPOINT a", write, "SAVEPOINT a", write, "RELEASE a", "ROLLBACK TO a"},
		"the inner one, then the outer one":    {"SAVEPOINT a", write, "SAVEPOINT a", write, "ROLLBACK TO a", "RELEASE a", "ROLLBACK TO a"},
		"a name in another case is the same":   {"SAVEPOINT Ab", write, "ROLLBACK TO aB"},
		"of a transaction of the longer words": {"SAVEPOINT a", write, "ROLLBACK TRANSACTION TO SAVEPOINT a"},
	} {
		Run(t, Except("mariadb", Except("mysql", testdb.All())), []Behaviour{{name, func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)

			errs, err := inTransaction(db, &p, statements...)

			require.NoError(t, errors.Join(errs...))
			require.NoError(t, err)
			require.Equal(t, Reload[Product](t, db, p.ID).Version, p.Version)
		}}}, &Product{})
	}
}

func TestSavepointsOfAnInnerTransactionAreGoneWithIt(t *testing.T) {
	Run(t, Except("mariadb", Except("mysql", testdb.All())), []Behaviour{{"its name means the outer one again", func(t *testing.T, db *gorm.DB) {
		p := Create(t, db)

		err := occ.Transaction(db, func(tx *gorm.DB) error {
			require.NoError(t, tx.Exec("SAVEPOINT a").Error)
			require.NoError(t, tx.Model(&p).Update("price", 2).Error)
			require.NoError(t, occ.Transaction(tx, func(tx *gorm.DB) error {
				require.NoError(t, tx.Model(&p).Update("price", 3).Error)
				return tx.Exec("SAVEPOINT a").Error
			}))
			return tx.Exec("ROLLBACK TO a").Error
		})

		require.NoError(t, err)
		require.Equal(t, Reload[Product](t, db, p.ID), Product{ID: p.ID, Name: p.Name, Price: 10, Version: p.Version})
		require.EqualValues(t, 1, p.Version)
	}}}, &Product{})
}

func TestRawEndsOfATransaction(t *testing.T) {
	for _, end := range []struct {
		name, sql string
		databases string // all of them where it is empty
		commits   bool
	}{
		{"ROLLBACK", "ROLLBACK", "", false},
		{"ROLLBACK among words", "/* c */ rollback work;", "mariadb postgres", false},
		{"ABORT", "ABORT", "postgres", false},
		{"COMMIT", "COMMIT", "", true},
		{"END", "END", "postgres sqlite", true},
		{"BEGIN", "BEGIN", "mariadb", true},
		{"START TRANSACTION", "START TRANSACTION", "mariadb", true},
		{"ROLLBACK that is scanned", "ROLLBACK", "", false},
		{"ROLLBACK that is found", "ROLLBACK", "", false},
	} {
		databases := slices.DeleteFunc(testdb.All(), func(d testdb.Database) bool {
			return end.databases != "" && !strings.Contains(end.databases, d.Like)
		})
		Run(t, databases, []Behaviour{{end.name, func(t *testing.T, db *gorm.DB) {
			p, other := Create(t, db), Create(t, db)
			before := other
			var later error

			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, tx.Model(&p).Update("price", 2).Error)
				switch {
				case strings.HasSuffix(end.name, "scanned"):
					_ = tx.Raw(end.sql).Scan(new(int))
				case strings.HasSuffix(end.name, "found"):
					_ = tx.Raw(end.sql).Find(new([]Product))
				default:
					require.NoError(t, tx.Exec(end.sql).Error)
				}
				later = tx.Model(&other).Update("price", 3).Error
				return nil
			})

			require.ErrorIs(t, err, gorm.ErrInvalidTransaction)
			require.ErrorIs(t, later, gorm.ErrInvalidTransaction)
			require.ErrorContains(t, err, "raw SQL")
			require.Equal(t, end.commits, p.Version == 2)
			RequireProducts(t, db, Reload[Product](t, db, p.ID), before)
			require.Equal(t, Reload[Product](t, db, p.ID).Version, p.Version)
			require.NoError(t, db.Model(&p).Update("price", 5).Error)
		}}}, &Product{})
	}
}

func TestATextThatFailsAmongItsStatementsEndsTheTransaction(t *testing.T) {
	Run(t, Except("mariadb", Except("mysql", testdb.All())), []Behaviour{{"it may have gone back or not", func(t *testing.T, db *gorm.DB) {
		p := Create(t, db)

		errs, err := inTransaction(db, &p, "SAVEPOINT a", write, "ROLLBACK TO a; SELECT * FROM nowhere", write)

		require.ErrorContains(t, errs[2], "nowhere")
		require.ErrorIs(t, errs[3], errs[2])
		require.ErrorIs(t, err, errs[2])
		require.EqualValues(t, 1, p.Version)
		RequireProducts(t, db, Product{ID: p.ID, Name: p.Name, Price: 10, Version: 1})
	}}}, &Product{})
}
