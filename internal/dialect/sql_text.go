package dialect

import "strings"

// sqlText is what is left to be read of a text of SQL.
type sqlText struct {
	dialect Dialect
	rest    string
}

// sqlWord is a word, a name or a text in quotes, or a sign.
type sqlWord struct {
	text     string
	isQuoted bool
}

// sqlWords are the first words of a statement.
type sqlWords []sqlWord

// maxWords are as many words as tell statements apart.
const maxWords = 10

// keyword is a word in capitals; empty where there is none.
func (w sqlWords) keyword(i int) string {
	if i >= len(w) || w[i].isQuoted {
		return ""
	}
	return strings.ToUpper(w[i].text)
}

// without returns the words after a keyword that may be left out.
func (w sqlWords) without(keyword string) sqlWords {
	if len(w) > 1 && w.keyword(0) == keyword {
		return w[1:]
	}
	return w
}

// statement reads a statement, and returns its first words.
func (t *sqlText) statement() (words sqlWords) {
	for {
		word, isEnd := t.word()
		switch {
		case isEnd:
			return words
		case len(words) == maxWords:
			continue
		}
		words = append(words, word)
		if len(words) == maxWords && strings.IndexByte(t.rest, ';') < 0 { // the rest of the statement is the rest of the text
			t.rest = ""
		}
	}
}

// word reads a word. It is the end where the statement has no further one.
func (t *sqlText) word() (word sqlWord, isEnd bool) {
	t.skipSpace()
	if t.rest == "" {
		return sqlWord{}, true
	}
	switch c := t.rest[0]; {
	case c == ';':
		t.rest = t.rest[1:]
		return sqlWord{}, true
	case t.isQuote(c):
		return t.quoted(t.dialect.Name == mysql && c != '`'), false
	case t.dialect.Name == postgres && (strings.HasPrefix(t.rest, "E'") || strings.HasPrefix(t.rest, "e'")):
		t.rest = t.rest[1:]
		return t.quoted(true), false
	case t.dialect.Name == postgres && c == '$':
		return t.dollarQuoted(), false
	}
	return t.plain(), false
}

// isQuote reports whether a quoted text or name begins with c.
func (t *sqlText) isQuote(c byte) bool {
	return c == '\'' || c == '"' || c == '`' || c == '[' && (t.dialect.Name == sqlite || t.dialect.Name == sqlServer)
}

// plain reads a word that is not quoted, or a sign.
func (t *sqlText) plain() sqlWord {
	end := strings.IndexFunc(t.rest, isNoPartOfAWord)
	switch end {
	case -1:
		end = len(t.rest)
	case 0:
		end = 1
	}
	word := sqlWord{text: t.rest[:end]}
	t.rest = t.rest[end:]
	return word
}

func isNoPartOfAWord(r rune) bool {
	isLetter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0x80
	return !isLetter && r != '$' && (r < '0' || r > '9')
}

// quoted reads what is in quotes. A quote within quotes is written twice, or behind a backslash where that escapes.
func (t *sqlText) quoted(escapes bool) sqlWord {
	opening := t.rest[0]
	closing := opening
	if opening == '[' {
		closing = ']'
	}
	var text strings.Builder
	for i := 1; i < len(t.rest); i++ {
		switch c := t.rest[i]; {
		case c == '\\' && escapes && i+1 < len(t.rest):
			i++
		case c == closing && !strings.HasPrefix(t.rest[i+1:], string(closing)):
			t.rest = t.rest[i+1:]
			return sqlWord{text.String(), true}
		case c == closing:
			i++
		}
		text.WriteByte(t.rest[i])
	}
	t.rest = "" // it has no end
	return sqlWord{text: string(opening)}
}

// dollarQuoted reads a text of PostgreSQL's between two like $tag$.
func (t *sqlText) dollarQuoted() sqlWord {
	tag, _, ok := strings.Cut(t.rest[1:], "$")
	if ok && strings.IndexFunc(tag, isNoPartOfAWord) < 0 {
		quote := "$" + tag + "$"
		if text, rest, isClosed := strings.Cut(t.rest[len(quote):], quote); isClosed {
			t.rest = rest
			return sqlWord{text, true}
		}
	}
	t.rest = t.rest[1:]
	return sqlWord{text: "$"}
}

// skipSpace skips space and comments.
func (t *sqlText) skipSpace() {
	for {
		t.rest = strings.TrimLeft(t.rest, " \t\r\n\f\v")
		switch {
		case t.isLineComment():
			_, t.rest, _ = strings.Cut(t.rest, "\n")
		case strings.HasPrefix(t.rest, "/*"):
			t.skipComment()
		default:
			return
		}
	}
}

func (t *sqlText) isLineComment() bool {
	if t.dialect.Name != mysql {
		return strings.HasPrefix(t.rest, "--")
	}
	behind, ok := strings.CutPrefix(t.rest, "--") // -1 may be taken from -1 there
	return strings.HasPrefix(t.rest, "#") || ok && (behind == "" || behind[0] <= ' ')
}

// skipComment skips a comment, and those within it where the database has them.
func (t *sqlText) skipComment() {
	nests := t.dialect.Name == postgres || t.dialect.Name == sqlServer
	depth := 1
	for t.rest = t.rest[2:]; depth > 0 && t.rest != ""; {
		switch {
		case strings.HasPrefix(t.rest, "*/"):
			depth, t.rest = depth-1, t.rest[2:]
		case nests && strings.HasPrefix(t.rest, "/*"):
			depth, t.rest = depth+1, t.rest[2:]
		default:
			t.rest = t.rest[1:]
		}
	}
}
