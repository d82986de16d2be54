package dialect

import (
	"slices"
	"strings"
)

// Control is a statement that steers the transaction in which it is sent.
type Control struct {
	Does Steering
	Name string // of the savepoint
}

// Steering is what a Control does.
type Steering int

// The ways to steer a transaction.
const (
	SetsSavepoint Steering = iota + 1
	GoesBack               // to a savepoint
	Releases               // a savepoint, and those after it
	RollsBack              // the whole transaction
	Commits                // the whole transaction
)

// Ends reports whether there is no transaction afterwards, or another one.
func (c Control) Ends() bool { return c.Does == RollsBack || c.Does == Commits }

// ReplacesSavepoints reports whether a savepoint takes the place of an earlier one of its name. Elsewhere it hides the earlier one until
// it is released.
func (d Dialect) ReplacesSavepoints() bool { return d.Name == mysql }

// ControlsIn returns the statements in a text of SQL that steer the transaction, and whether there are further statements in it.
func (d Dialect) ControlsIn(sql string) (controls []Control, isOneOfSeveral bool) {
	statements := 0
	for text := (sqlText{d, sql}); text.rest != ""; {
		words := text.statement()
		if len(words) == 0 {
			continue
		}
		statements++
		if d.isProgram(words, sql) {
			break // the statements behind it may be its own
		}
		if control, ok := d.controlOf(words); ok {
			controls = append(controls, control)
		}
	}
	return controls, statements > 1
}

// isProgram reports whether a statement has statements of its own, which are not in quotes.
func (d Dialect) isProgram(words sqlWords, sql string) bool {
	words = words.without("EXPLAIN")
	switch first := words.keyword(0); {
	case first == "CREATE":
		return words.createsProgram() && (d.Name != postgres || strings.Contains(strings.ToUpper(sql), "ATOMIC"))
	case d.Name == mysql: // MariaDB takes compound statements anywhere
		isLabel := len(words) > 1 && words[1].text == ":"
		return isLabel || first == "BEGIN" && words.keyword(1) == "NOT" ||
			slices.Contains([]string{"IF", "CASE", "LOOP", "REPEAT", "WHILE", "FOR"}, first)
	}
	return false
}

// createsProgram reports whether a CREATE is of a trigger and its like, as the first word says that is no attribute.
func (w sqlWords) createsProgram() bool {
	for i := range w {
		switch w.keyword(i) {
		case "TRIGGER", "FUNCTION", "PROCEDURE", "EVENT":
			return true
		case "TABLE", "INDEX", "VIEW", "DATABASE", "SCHEMA", "SEQUENCE", "TYPE", "ROLE", "USER":
			return false
		}
	}
	return false
}

// controlOf recognises a statement by its first words.
func (d Dialect) controlOf(words sqlWords) (Control, bool) {
	switch first, second := words.keyword(0), words.keyword(1); {
	case first == "SAVEPOINT":
		return d.savepoint(SetsSavepoint, words[1:])
	case first == "SAVE" && isTransactionWord(second):
		return d.savepoint(SetsSavepoint, words[2:])
	case first == "RELEASE":
		return d.savepoint(Releases, words[1:].without("SAVEPOINT"))
	case first == "ROLLBACK":
		return d.rollback(words[1:])
	case d.Name == postgres && (first == "ABORT" || first == "PREPARE" && second == "TRANSACTION" && words.keyword(2) != "AS"):
		return Control{Does: RollsBack}, true
	case d.commits(first, second):
		return Control{Does: Commits}, true
	}
	return Control{}, false
}

func isTransactionWord(word string) bool {
	return word == "TRANSACTION" || word == "TRAN" || word == "WORK"
}

func (d Dialect) savepoint(does Steering, name sqlWords) (Control, bool) {
	if len(name) == 0 {
		return Control{}, false
	}
	return Control{does, d.savepointName(name[0])}, true
}

// savepointName is one name for all spellings that mean the same savepoint.
func (d Dialect) savepointName(word sqlWord) string {
	if word.isQuoted && d.Name == postgres {
		return word.text
	}
	return strings.ToLower(word.text)
}

// rollback reads what stands behind ROLLBACK.
func (d Dialect) rollback(words sqlWords) (Control, bool) {
	isNamed := false // SQL Server's ROLLBACK TRANSACTION name
	if isTransactionWord(words.keyword(0)) {
		isNamed, words = d.Name == sqlServer && words.keyword(0) != "WORK", words[1:]
	}
	switch words.keyword(0) {
	case "TO":
		return d.savepoint(GoesBack, words[1:].without("SAVEPOINT"))
	case "PREPARED":
		return Control{}, false
	case "AND":
		isNamed = false
	}
	if isNamed && len(words) > 0 {
		return d.savepoint(GoesBack, words)
	}
	return Control{Does: RollsBack}, true
}

// commits reports whether a statement commits the transaction. BEGIN does on MySQL. SQL Server has transactions in transactions,
// whose COMMIT is none.
func (d Dialect) commits(first, second string) bool {
	switch first {
	case "COMMIT":
		return d.Name != sqlServer && second != "PREPARED"
	case "END":
		return d.Name == postgres || d.Name == sqlite
	case "BEGIN":
		return d.Name == mysql && second != "NOT" // BEGIN NOT ATOMIC is a block
	case "START":
		return d.Name == mysql && second == "TRANSACTION"
	}
	return false
}
