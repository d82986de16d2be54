package occtest

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/registration"
)

// NoRawWrites fails the test for every statement of Exec or Raw through db, until t ends, that writes the table of one of the
// models: raw SQL is not compared by occ. It looks at the statements that GORM's callbacks show it: INSERT, UPDATE, DELETE, REPLACE,
// MERGE and TRUNCATE, also behind WITH and as one of several statements.
//
// It does not see what goes round GORM (database/sql, drivers, COPY), what triggers, cascades, procedures and views write, the further
// tables of MySQL's UPDATE and DELETE of several tables, and statements through another gorm.DB. The statement is not stopped.
func NoRawWrites(t testing.TB, db *gorm.DB, models ...any) {
	t.Helper()
	if err := registration.NeedDatabase(db); err != nil {
		t.Errorf("occtest: %v", err)
		return
	}
	tables := map[string]string{}
	for _, model := range models {
		stmt := &gorm.Statement{DB: db}
		if err := stmt.Parse(model); err != nil {
			t.Errorf("occtest: %v", err)
			return
		}
		table := stmt.Schema.Table
		tables[strings.ToLower(table[strings.LastIndex(table, ".")+1:])] = stmt.Schema.Name
	}
	if !claim(t, db) {
		return
	}
	afterRaw(t, db, func(call *gorm.DB) {
		for _, table := range writtenTables(call.Statement.SQL.String()) {
			if model, ok := tables[table]; ok {
				t.Errorf("occtest: raw SQL writes table %s of %s, and is not compared: %s", table, model, call.Statement.SQL.String())
			}
		}
	})
}

// writingVerbs begin statements that can write rows.
var writingVerbs = words("insert update delete replace merge truncate with")

// modifiers stand between a verb and its table.
var modifiers = words("only ignore low_priority high_priority delayed quick table or rollback abort fail replace into from")

func words(list string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(list) {
		set[word] = true
	}
	return set
}

// writtenTables are the tables that the statements write, in lower case and without schema.
func writtenTables(sql string) (tables []string) {
	tokens := tokensOf(sql)
	begins, writes := true, false
	for i, token := range tokens {
		if begins {
			writes = writingVerbs[token]
		}
		begins = token == ";"
		if writes && namesTable(tokens, i) {
			tables = append(tables, tableAfter(tokens[i+1:]))
		}
	}
	return tables
}

// namesTable reports whether a table to be written follows the token: not so after FOR UPDATE, DO UPDATE, ON DUPLICATE KEY UPDATE and
// INSERT OR REPLACE, whose INSERT has told of it.
func namesTable(tokens []string, i int) bool {
	switch tokens[i] {
	case "insert", "delete", "replace", "merge", "truncate":
		return i == 0 || !words("or then")[tokens[i-1]]
	case "update":
		return i == 0 || !words("for do key then")[tokens[i-1]]
	}
	return false
}

// tableAfter is the last part of the first name in tokens.
func tableAfter(tokens []string) string {
	for len(tokens) > 0 && modifiers[tokens[0]] {
		tokens = tokens[1:]
	}
	for len(tokens) > 2 && tokens[1] == "." {
		tokens = tokens[2:]
	}
	if len(tokens) == 0 {
		return ""
	}
	return strings.Trim(tokens[0], "\"`[]")
}

// tokensOf splits SQL into words, quoted names and signs, in lower case, without comments and texts.
func tokensOf(sql string) (tokens []string) {
	for sql = strings.ToLower(sql); sql != ""; {
		n := lengthOfToken(sql)
		if token := sql[:n]; isToken(token) {
			tokens = append(tokens, token)
		}
		sql = sql[n:]
	}
	return tokens
}

func isToken(s string) bool {
	return strings.TrimSpace(s) != "" && s[0] != '\'' && !strings.HasPrefix(s, "--") && !strings.HasPrefix(s, "/*")
}

// lengthOfToken is the length of what sql begins with, at least 1.
func lengthOfToken(sql string) int {
	switch {
	case strings.HasPrefix(sql, "--"):
		return through(sql, 2, "\n")
	case strings.HasPrefix(sql, "/*"):
		return through(sql, 2, "*/")
	case strings.ContainsRune("'\"`", rune(sql[0])):
		return through(sql, 1, sql[:1])
	case sql[0] == '[':
		return through(sql, 1, "]")
	}
	n := strings.IndexFunc(sql, isNoWord)
	switch n {
	case -1:
		return len(sql)
	case 0:
		_, n = utf8.DecodeRuneInString(sql)
	}
	return n
}

func isNoWord(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '$'
}

// through is the length up to and with the next end from start on.
func through(sql string, start int, end string) int {
	if i := strings.Index(sql[start:], end); i >= 0 {
		return start + i + len(end)
	}
	return len(sql)
}
