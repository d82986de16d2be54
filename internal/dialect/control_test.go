package dialect

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestControlsInSQL(t *testing.T) {
	sets := func(name string) []Control { return []Control{{SetsSavepoint, name}} }
	back := func(name string) []Control { return []Control{{GoesBack, name}} }
	rollsBack, commits := []Control{{Does: RollsBack}}, []Control{{Does: Commits}}
	long := "INSERT INTO t VALUES ('" + strings.Repeat("x", 1000) + "', 1, 2, 3, 4, 5)"
	for _, tt := range []struct {
		dialects string
		sql      string
		want     []Control
	}{
		{"", "SAVEPOINT sp1", sets("sp1")},
		{"", "savepoint  A ;", sets("a")},
		{"", "SAVEPOINT\n\tab", sets("ab")},
		{"", "/* c */ SAVEPOINT a -- SAVEPOINT b", sets("a")},
		{"", "SAVE TRANSACTION sp1", sets("sp1")},
		{"", "ROLLBACK TO SAVEPOINT sp1", back("sp1")},
		{"", `ROLLBACK TO SAVEPOINT "sp1"`, back("sp1")},
		{"", "ROLLBACK TO `sp1`;", back("sp1")},
		{"", "rollback to sp1", back("sp1")},
		{"", "ROLLBACK WORK TO a", back("a")},
		{"", "ROLLBACK TRANSACTION TO SAVEPOINT a", back("a")},
		{"sqlserver", "ROLLBACK TRANSACTION sp1", back("sp1")},
		{"sqlite", "ROLLBACK TRANSACTION sp1", rollsBack},
		{"sqlite postgres", "CREATE TABLE audit (id int, event text); ROLLBACK", rollsBack},
		{"postgres", "CREATE FUNCTION f() RETURNS int AS 'SELECT 1' LANGUAGE sql; COMMIT", commits},
		{"postgres", "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END", nil},
		{"postgres", "PREPARE transaction AS SELECT 1", nil},
		{"mysql", "BEGIN NOT ATOMIC DECLARE x INT DEFAULT 0; BEGIN SET x = 1; END; END", nil},
		{"mysql", "IF 0 THEN SET @a = 1; COMMIT; END IF", nil},
		{"mysql", "again: LOOP SET @a = 1; LEAVE again; END LOOP", nil},
		{"sqlite", "EXPLAIN CREATE TRIGGER x AFTER UPDATE ON t BEGIN SELECT 1; END", nil},
		{"", "-- c\nROLLBACK /* c */ TO a /* c", back("a")},
		{"", `ROLLBACK TO "a ""b"";"`, back(`a "b";`)},
		{"", "ROLLBACK TO savepoint", back("savepoint")},
		{"", "RELEASE SAVEPOINT sp1", []Control{{Releases, "sp1"}}},
		{"", "RELEASE sp1", []Control{{Releases, "sp1"}}},
		{"", "SELECT 1; ROLLBACK TO a", back("a")},
		{"", long + ";" + long + ";; ROLLBACK TO a;", back("a")},
		{"", "SAVEPOINT a; ROLLBACK TO a", []Control{{SetsSavepoint, "a"}, {GoesBack, "a"}}},
		{"", "CREATE TABLE t (a int); ROLLBACK TO a", back("a")},
		{"", "ROLLBACK", rollsBack},
		{"", "ROLLBACK AND CHAIN", rollsBack},
		{"", "ROLLBACK TRANSACTION;", rollsBack},
		{"mysql postgres sqlite", "COMMIT WORK", commits},
		{"sqlserver", "COMMIT", nil},
		{"postgres sqlite", "END", commits},
		{"postgres", "ABORT", rollsBack},
		{"postgres", "PREPARE TRANSACTION 'x'", rollsBack},
		{"mysql", "BEGIN", commits},
		{"mysql", "START TRANSACTION READ ONLY", commits},
		{"mysql", "BEGIN NOT ATOMIC SELECT 1; END", nil},
		{"postgres sqlite sqlserver", "BEGIN", nil},
		{"postgres", `SAVEPOINT "Ab"`, sets("Ab")},
		{"mysql sqlite", `SAVEPOINT "Ab"`, sets("ab")},
		{"sqlite sqlserver", "SAVEPOINT [a b]", sets("a b")},
		{"mysql", "# c\nSAVEPOINT a", sets("a")},
		{"mysql", `SELECT 'it\'s; ROLLBACK'; SAVEPOINT a`, sets("a")},
		{"postgres", `SELECT E'it\'s; ROLLBACK'; SAVEPOINT a`, sets("a")},
		{"postgres", `SELECT $1, '\'; SAVEPOINT a`, sets("a")},
		{"postgres", `SELECT a['];ROLLBACK'::int]; SAVEPOINT a`, sets("a")},
		{"postgres", "DO $x$ BEGIN; ROLLBACK; END $x$; SAVEPOINT a", sets("a")},
		{"postgres", "/* /* ; */ ROLLBACK */ SAVEPOINT a", sets("a")},
		{"", "SELECT '; ROLLBACK'", nil},
		{"", "SELECT 'it''s; ROLLBACK'", nil},
		{"", "SELECT 1 -- ; ROLLBACK", nil},
		{"", "SELECT 'open; ROLLBACK", nil},
		{"mysql", strings.Repeat(`'\'\`, 50_000) + "; ROLLBACK", nil},
		{"mysql sqlite sqlserver", "CREATE TEMP TRIGGER x AFTER UPDATE ON t BEGIN SELECT 1; END", nil},
		{"", "UPDATE savepoint SET a", nil},
		{"", `"SAVEPOINT" a`, nil},
		{"", "SAVEPOINT", nil},
		{"", " ;; ", nil},
		{"", "", nil},
	} {
		if tt.dialects == "" {
			tt.dialects = "mysql postgres sqlite sqlserver"
		}
		for _, name := range strings.Fields(tt.dialects) {
			controls, _ := Dialect{Name: name}.ControlsIn(tt.sql)
			require.Equal(t, tt.want, controls, "%s: %s", name, tt.sql)
		}
	}
}

func TestControlsAmongSeveralStatements(t *testing.T) {
	for sql, want := range map[string]bool{
		"ROLLBACK": false, "ROLLBACK;": false, ";ROLLBACK; -- x": false, "SELECT 1; ROLLBACK": true, "ROLLBACK; SELECT 1": true,
	} {
		controls, several := Dialect{Name: sqlite}.ControlsIn(sql)
		require.Len(t, controls, 1, sql)
		require.Equal(t, want, several, sql)
	}
}

func TestALongStatementIsNotReadToItsEnd(t *testing.T) {
	text := sqlText{Dialect{Name: postgres}, "INSERT INTO t (a, b) VALUES (1, 2), (3, 4), " + strings.Repeat("(3, 4), ", 1000)}

	words := text.statement()

	require.Equal(t, "INSERT", words.keyword(0))
	require.Len(t, words, maxWords)
	require.Empty(t, text.rest)
}
