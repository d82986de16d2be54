package occvet

import (
	"slices"
	"strings"
	"unicode"
)

// sqlToken is a word, a quoted identifier, a literal or a sign of a statement; comments and space are left out.
type sqlToken struct {
	text   string
	isWord bool // a keyword or identifier, without its quotes
	quoted bool
}

func (t sqlToken) is(words ...string) bool {
	return t.isWord && !t.quoted && slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, t.text) })
}

// tokensOf takes a statement apart.
func tokensOf(sql string) []sqlToken {
	var tokens []sqlToken
	for sql = strings.TrimSpace(sql); sql != ""; sql = strings.TrimSpace(sql) {
		length, token := nextToken(sql)
		if token.text != "" {
			tokens = append(tokens, token)
		}
		sql = sql[length:]
	}
	return tokens
}

// nextToken is the first token of a text that does not begin with space, and how long it is.
func nextToken(sql string) (length int, token sqlToken) {
	switch {
	case strings.HasPrefix(sql, "--"):
		return until(sql, 2, "\n"), sqlToken{}
	case strings.HasPrefix(sql, "/*"):
		return until(sql, 2, "*/"), sqlToken{}
	case sql[0] == '\'':
		return until(sql, 1, "'"), sqlToken{text: "'"}
	case sql[0] == '"' || sql[0] == '`':
		return quotedToken(sql, sql[:1])
	case sql[0] == '[':
		return quotedToken(sql, "]")
	}
	end := strings.IndexFunc(sql, func(r rune) bool { return !isWordRune(r) })
	if end < 0 {
		end = len(sql)
	}
	if end > 0 {
		return end, sqlToken{text: sql[:end], isWord: true}
	}
	return 1, sqlToken{text: sql[:1]}
}

func isWordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

func quotedToken(sql, end string) (int, sqlToken) {
	length := until(sql, 1, end)
	return length, sqlToken{text: strings.TrimSuffix(sql[1:length], end), isWord: true, quoted: true}
}

// until is where the text behind the first occurrence of end begins; its length if there is none.
func until(sql string, from int, end string) int {
	at := strings.Index(sql[from:], end)
	if at < 0 {
		return len(sql)
	}
	return from + at + len(end)
}

// sqlWrite is an UPDATE or upsert in a text: the table and the columns that it sets.
type sqlWrite struct {
	table   string
	columns []string
	replace bool // REPLACE writes every column anew
}

// sqlWrites finds the writes in a text of one or more statements.
func sqlWrites(sql string) []sqlWrite {
	var writes []sqlWrite
	for _, statement := range statementsOf(tokensOf(sql)) {
		if len(statement) == 0 || statement[0].is("CREATE", "ALTER", "DROP", "GRANT", "EXPLAIN") {
			continue
		}
		for i, t := range statement {
			if w, ok := sqlWriteAt(statement, i, t); ok {
				writes = append(writes, w)
			}
		}
	}
	return writes
}

func statementsOf(tokens []sqlToken) [][]sqlToken {
	var all [][]sqlToken
	for {
		end := slices.IndexFunc(tokens, func(t sqlToken) bool { return t.text == ";" && !t.isWord })
		if end < 0 {
			return append(all, tokens)
		}
		all, tokens = append(all, tokens[:end]), tokens[end+1:]
	}
}

// sqlWriteAt reads the write that begins with a token, if one does.
func sqlWriteAt(statement []sqlToken, at int, t sqlToken) (sqlWrite, bool) {
	rest := statement[at+1:]
	isFirst := at == 0 || statement[at-1].text == ")" || statement[at-1].text == "("
	switch {
	case t.is("UPDATE") && isFirst:
		return updateOf(rest)
	case t.is("REPLACE") && at == 0:
		table, _ := tableIn(skipWords(rest, "LOW_PRIORITY", "DELAYED", "INTO"))
		return sqlWrite{table: table, replace: true}, table != ""
	case t.is("INSERT") && isFirst:
		return upsertOf(rest)
	}
	return sqlWrite{}, false
}

func skipWords(tokens []sqlToken, words ...string) []sqlToken {
	for len(tokens) > 0 && tokens[0].is(words...) {
		tokens = tokens[1:]
	}
	return tokens
}

// tableIn is the name of a table, without its schema, and what follows.
func tableIn(tokens []sqlToken) (string, []sqlToken) {
	for len(tokens) > 2 && tokens[0].isWord && tokens[1].text == "." {
		tokens = tokens[2:]
	}
	if len(tokens) == 0 || !tokens[0].isWord {
		return "", tokens
	}
	return tokens[0].text, tokens[1:]
}

func updateOf(tokens []sqlToken) (sqlWrite, bool) {
	tokens = skipWords(tokens, "OR", "ROLLBACK", "ABORT", "REPLACE", "FAIL", "IGNORE", "LOW_PRIORITY", "ONLY")
	table, rest := tableIn(tokens)
	set := slices.IndexFunc(rest, func(t sqlToken) bool { return t.is("SET") })
	if table == "" || set < 0 {
		return sqlWrite{}, false
	}
	return sqlWrite{table: table, columns: columnsSet(rest[set+1:])}, true
}

func upsertOf(tokens []sqlToken) (sqlWrite, bool) {
	replace := len(tokens) > 1 && tokens[0].is("OR") && tokens[1].is("REPLACE")
	table, rest := tableIn(skipWords(tokens, "OR", "REPLACE", "IGNORE", "LOW_PRIORITY", "INTO"))
	if replace {
		return sqlWrite{table: table, replace: true}, table != ""
	}
	for i, t := range rest {
		if !t.is("UPDATE") || i == 0 || !rest[i-1].is("DO", "KEY") {
			continue
		}
		return sqlWrite{table: table, columns: columnsSet(skipWords(rest[i+1:], "SET"))}, table != ""
	}
	return sqlWrite{}, false
}

// columnsSet are the names on the left of the assignments, also in lists such as (a, b) = (1, 2).
func columnsSet(tokens []sqlToken) []string {
	var columns []string
	depth := 0
	isLeft := true
	for i, t := range tokens {
		switch {
		case t.text == "(":
			depth++
		case t.text == ")":
			depth--
		case depth == 0 && t.is("WHERE", "FROM", "RETURNING", "ORDER", "LIMIT"):
			return columns
		case depth == 0 && t.text == ",":
			isLeft = true
		case t.text == "=" && depth == 0:
			isLeft = false
		case isLeft && t.isWord && (i+1 == len(tokens) || tokens[i+1].text != "."):
			columns = append(columns, t.text)
		}
		if depth < 0 {
			return columns
		}
	}
	return columns
}
