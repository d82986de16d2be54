package ledger

import (
	"errors"
	"fmt"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/gorm-occ/occ"
)

func entry(attempt, row string, version int64) Entry {
	return Entry{Attempt: attempt, Row: row, Version: version, Adds: 1, Path: "Save"}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		outcomes map[string]Outcome
		there    []string // attempts in the ledger
		want     Found
	}{
		{"what was acknowledged is there, what failed is not", map[string]Outcome{"a": Acknowledged, "b": Failed}, []string{"a"}, Found{}},
		{"of unknown outcome, each is counted", map[string]Outcome{"a": Unknown, "b": Unknown, "c": Unknown}, []string{"b"}, Found{Applied: 1, NotApplied: 2}},
		{"an attempt of two rows counts once", map[string]Outcome{"a": Unknown}, []string{"a", "a"}, Found{Applied: 1}},
		{"what was acknowledged is lost", map[string]Outcome{"a": Acknowledged}, nil,
			Found{Anomalies: []string{"attempt a was acknowledged and is not there"}}},
		{"what failed is there", map[string]Outcome{"a": Failed}, []string{"a"},
			Found{Anomalies: []string{"attempt a failed and is there"}}},
		{"what nobody attempted is there", map[string]Outcome{}, []string{"a"},
			Found{Anomalies: []string{"attempt a is in the ledger, and nobody was told of it"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var s state
			for i, attempt := range tt.there {
				s.entries = append(s.entries, entry(attempt, fmt.Sprint("account ", i), 2))
			}
			var found Found

			(&Ledger{outcomes: tt.outcomes}).checkOutcomes(s, &found)

			require.Equal(t, tt.want, found)
		})
	}
}

func TestRows(t *testing.T) {
	t.Parallel()
	const name = "account 1"
	for _, tt := range []struct {
		name    string
		row     row
		entries []Entry
		want    []string
	}{
		{"a row that nobody has written", row{0, 1}, nil, nil},
		{"a row that was written twice, whatever the order of the entries", row{2, 3}, []Entry{entry("b", name, 3), entry("a", name, 2)}, nil},
		{"a write of another row is none of its", row{0, 1}, []Entry{entry("a", "card 1", 2)}, nil},
		{"a Touch adds nothing", row{0, 2}, []Entry{{Attempt: "a", Row: name, Version: 2}}, nil},
		{"an update is lost", row{1, 3}, []Entry{entry("a", name, 2), entry("b", name, 3)},
			[]string{"account 1 holds 1, and its entries add up to 2"}},
		{"a write did not advance the version", row{2, 2}, []Entry{entry("a", name, 2), entry("b", name, 3)},
			[]string{"account 1 is at version 2, and was written 2 times"}},
		{"the row is written without its entry", row{1, 2}, nil,
			[]string{"account 1 holds 1, and its entries add up to 0", "account 1 is at version 2, and was written 0 times"}},
		{"two writes gave the same version", row{2, 3}, []Entry{entry("a", name, 2), entry("b", name, 2)},
			[]string{"account 1: version 2 by b (Save) where version 3 is expected"}},
		{"a version was skipped", row{1, 2}, []Entry{entry("a", name, 3)},
			[]string{"account 1: version 3 by a (Save) where version 2 is expected"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var found Found

			checkRows(state{entries: tt.entries, rows: map[string]row{name: tt.row}}, &found)

			require.Equal(t, tt.want, found.Anomalies)
		})
	}
}

// isRefusal are the errors of a COMMIT that say that nothing was carried out, and those that do not.
var isRefusal = []struct {
	name string
	err  error
	want bool
}{
	{"a refusal", &occ.StaleDataError{Rows: []occ.StaleRow{{}}}, true},
	{"a refusal that Retry gave up on", &occ.RetryError{Attempts: 3, Err: &occ.StaleDataError{Rows: []occ.StaleRow{{}}}}, true},
	{"a transaction that was aborted before", errors.New("occ: the transaction cannot go on, an earlier statement in it failed"), true},
	{"WithCommitCheck knows", errors.New("occ: the transaction was not carried out"), true},
	{"PostgreSQL could not serialize", &pgconn.PgError{Code: "40001"}, true},
	{"PostgreSQL found a deadlock", fmt.Errorf("commit: %w", &pgconn.PgError{Code: "40P01"}), true},
	{"PostgreSQL shuts down", &pgconn.PgError{Code: "57P01"}, false},
	{"MySQL found a deadlock", &mysql.MySQLError{Number: 1213}, true},
	{"a group of MySQL's found a conflict", &mysql.MySQLError{Number: 3101}, true},
	{"a group of MySQL's could not certify", &mysql.MySQLError{Number: 1180, Message: "Got error 149"}, true},
	{"MySQL has an error during COMMIT", &mysql.MySQLError{Number: 1180, Message: "Got error 5"}, false},
	{"a connection is lost", mysql.ErrInvalidConn, false},
}

func TestWhatAnErrorSaysOfACommit(t *testing.T) {
	t.Parallel()
	for _, tt := range isRefusal {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			unless := map[bool]Outcome{true: Failed, false: Unknown}

			require.Equal(t, tt.want, saysSo(tt.err))
			require.Equal(t, unless[tt.want], outcomeOf(tt.err, true), "in COMMIT")
			require.Equal(t, Failed, outcomeOf(tt.err, false), "before COMMIT")
		})
	}
	require.Equal(t, Acknowledged, outcomeOf(nil, true))
}

func TestOfSeveralAttemptsAllButTheLastHaveFailed(t *testing.T) {
	t.Parallel()
	l := &Ledger{outcomes: map[string]Outcome{}, errs: map[string]int{}}

	l.tell([]string{"a", "b", "c"}, Acknowledged, nil)
	l.tell([]string{"d"}, Unknown, errors.New("lost"))
	l.tell([]string{"e"}, Failed, errors.New("lost"))
	l.tell(nil, Failed, errors.New("no server"))

	require.Equal(t, map[string]Outcome{"a": Failed, "b": Failed, "c": Acknowledged, "d": Unknown, "e": Failed}, l.outcomes)
	require.Equal(t, "0 calls: 1 acknowledged, 1 failed, 1 of unknown outcome, 1 found no server; 2 attempts run again", l.Totals.String())
	require.Equal(t, []string{"     2 lost"}, l.Errors(1))
}
