package occ

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"strconv"
	"strings"
	"unicode"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/value"
)

// ErrStaleData reports that a write was refused because the row is no longer at the version it was based on: it was
// changed or deleted since. The row is untouched, and GORM's default transaction, if on, is rolled back; inside a
// transaction of your own, return the error to roll back. The model keeps the version it was read with, but its other
// fields hold the refused values: read it again before you retry.
// Match it with [errors.Is]; [*StaleDataError] names the table, the rows and their versions.
var ErrStaleData = errors.New("occ: stale data")

// ErrVersionMissing reports that a write was refused because the version of the model was never loaded (it is zero)
// while the row has one, so nothing says which state of the row the write was based on. The error also matches
// [ErrStaleData]; the row and the model are untouched. Ways out: load the row before writing it, write by condition
// (Model(&T{}).Where(...)), or name the version with [Expect]; [Unchecked] and [WithBlindWrites] give up the check.
var ErrVersionMissing = errors.New("occ: version missing")

// ErrMergeConflict reports that [Rebase] found columns that both sides changed to different values, so that only a
// person or a rule of the application can say which value stays. The error also matches [ErrStaleData]; the row and the
// model are untouched. [*MergeConflictError] names the columns and has the values of both sides.
var ErrMergeConflict = errors.New("occ: merge conflict")

// Op is the operation that was refused.
type Op string

// The operations that are compared.
const (
	OpUpdate Op = "update" // Save, Update, Updates, UpdateColumn, UpdateColumns
	OpDelete Op = "delete" // Delete, soft or hard
	OpUpsert Op = "upsert" // Create with clause.OnConflict
	OpTouch  Op = "touch"  // Touch, or the parent of a row that was written
	OpVerify Op = "verify" // Verify
	OpRead   Op = "read"   // First, Take, Last and Find with Expect or ExpectText
)

// Reason says why a row was refused.
type Reason string

// The reasons. A row that could not be read reliably is [ReasonUnknown], never a guess.
const (
	ReasonChanged Reason = "changed" // the row is at another version
	ReasonDeleted Reason = "deleted" // there is no such row, or it is soft-deleted
	ReasonMissing Reason = "missing" // the model's version was never loaded, and the row has one
	ReasonAhead   Reason = "ahead"   // the model is newer than the row: its transaction was rolled back, or the version is made up
	ReasonUnknown Reason = "unknown" // the row could not be read
)

// StaleDataError is the [ErrStaleData] of one call: what was refused, and why. Use [errors.As] to get at it.
// It is safe to keep, and to read from several goroutines.
type StaleDataError struct {
	Op    Op
	Table string
	// Rows are the refused rows in the order they were passed; there is at least one.
	Rows []StaleRow
	// Err is the database's own error where it reported the conflict itself, or the error of the read that was to find the
	// reason. A deadlock among these may have ended the caller's transaction. Otherwise it is nil.
	Err error

	text string // of the version that a single row has; integers go without
}

// StaleRow is one refused row.
type StaleRow struct {
	// Index is the position in the slice that was passed, or among the models of [Touch] and [Verify]; 0 for a single model.
	Index int
	// PrimaryKey maps column names to values; it is empty where the write named no key.
	PrimaryKey map[string]any
	// Expected is the version that was compared, as the model's field type holds it: a [Snapshot] where that is compared.
	Expected any
	// Actual is the version the row has now; nil where it is gone or could not be read.
	Actual any
	Reason Reason
	// Blame has the columns that are tagged `gorm:"blame"`, by column name, as the row has them now, soft-deleted or not: who
	// changed it, and when. It is from the same read as Actual; nil where no column is tagged or the row was not read. Error
	// and LogValue leave it out.
	Blame map[string]any
}

// Error is one line for a log: operation, table, key, the version expected and the one found. It holds no row contents.
// Keys and versions that are more than a plain word stand in quotes and are escaped.
func (e *StaleDataError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%v: %s of %q refused", ErrStaleData, e.Op, e.Table)
	for i, row := range e.Rows {
		if i == maxRowsInMessage {
			fmt.Fprintf(&text, "; and %d more rows", len(e.Rows)-i)
			break
		}
		text.WriteString(separator(i) + row.describe(e.shownActual(row)))
	}
	if errors.Is(e, ErrVersionMissing) {
		text.WriteString(e.waysOut())
	}
	if e.Err != nil {
		text.WriteString(": " + oneLine(e.Err))
	}
	return text.String()
}

const (
	maxRowsInMessage = 5
	waysOut          = " (load the row before writing it, write by condition with Model(&T{}).Where(...), name the version with occ.Expect, or skip the check with occ.Unchecked)"
)

func (e *StaleDataError) waysOut() string {
	for _, row := range e.Rows {
		if _, isSnapshot := row.Expected.(Snapshot); isSnapshot {
			return snapshotWaysOut
		}
	}
	return waysOut
}

func separator(i int) string {
	if i == 0 {
		return ": "
	}
	return "; "
}

// shownActual is what a log shows of the Actual of a row. Of a Snapshot it is the digest; nil where that is not known, as of
// one row among several.
func (e *StaleDataError) shownActual(row StaleRow) any {
	switch _, isSnapshot := row.Actual.(Snapshot); {
	case !isSnapshot:
		return row.Actual
	case e.text != "":
		return e.text
	}
	return nil
}

// describe is a row in the text of the error, with what that shows of its Actual.
func (r StaleRow) describe(shown any) string {
	row := "row " + formatKey(r.PrimaryKey)
	if _, isSnapshot := r.Expected.(Snapshot); isSnapshot {
		return row + " " + describeImage(r)
	}
	expected, actual := value.FormatVersion(r.Expected), value.FormatVersion(shown)
	isHidden := shown == nil && r.Actual != nil
	switch r.Reason {
	case ReasonChanged:
		if isHidden {
			return fmt.Sprintf("%s changed: expected version %s", row, expected)
		}
		return fmt.Sprintf("%s changed: expected version %s, found %s", row, expected, actual)
	case ReasonDeleted:
		return fmt.Sprintf("%s was deleted: expected version %s", row, expected)
	case ReasonMissing:
		if isHidden {
			return row + " is there, but the version of the model was never loaded"
		}
		return fmt.Sprintf("%s is at version %s, but the version of the model was never loaded", row, actual)
	case ReasonAhead:
		return fmt.Sprintf("%s: the model is at %s, ahead of the row at %s: the transaction that wrote %s was rolled back, or it was not loaded from the row",
			row, expected, actual, expected)
	default:
		return fmt.Sprintf("%s is not at expected version %s", row, expected)
	}
}

func formatKey(key map[string]any) string {
	if len(key) == 0 {
		return "without a primary key"
	}
	parts := make([]string, 0, len(key))
	for column, given := range key {
		parts = append(parts, column+"="+value.FormatVersion(given))
	}
	sort.Strings(parts)
	return strings.Join(parts, ",")
}

// oneLine is an error's text without what could end a line of a log.
func oneLine(err error) string {
	text := err.Error()
	if strings.IndexFunc(text, unicode.IsControl) < 0 {
		return text
	}
	escaped := strconv.Quote(text)
	return escaped[1 : len(escaped)-1]
}

// LogValue is the error for log/slog: a group of op, table and rows, each of which has key, expected, actual and reason.
// As in Error, it holds at most 5 rows, with the number of further ones in more, and no row contents; err is the
// database's own error where there is one.
func (e *StaleDataError) LogValue() slog.Value {
	rows := make([]loggedRow, min(len(e.Rows), maxRowsInMessage))
	for i := range rows {
		rows[i] = e.Rows[i].logged(e.shownActual(e.Rows[i]))
	}
	attrs := []slog.Attr{slog.String("op", string(e.Op)), slog.String("table", e.Table), slog.Any("rows", rows)}
	if more := len(e.Rows) - len(rows); more > 0 {
		attrs = append(attrs, slog.Int("more", more))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("err", e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// loggedRow is a refused row in a log.
type loggedRow struct {
	Key      map[string]any `json:"key"`
	Expected any            `json:"expected"`
	Actual   any            `json:"actual"`
	Reason   Reason         `json:"reason"`
}

// String is the row for handlers that write no JSON.
func (r loggedRow) String() string {
	return fmt.Sprintf("key=%s expected=%v actual=%v reason=%s", formatKey(r.Key), value.FormatVersion(r.Expected), value.FormatVersion(r.Actual), r.Reason)
}

// logged is a row in the log, with what that shows of its Actual.
func (r StaleRow) logged(shown any) loggedRow {
	row := loggedRow{Key: make(map[string]any, len(r.PrimaryKey)), Reason: r.Reason}
	for column, value := range r.PrimaryKey {
		row.Key[column] = logged(value)
	}
	if _, isSnapshot := r.Expected.(Snapshot); !isSnapshot {
		row.Expected, row.Actual = logged(r.Expected), logged(shown)
	}
	return row
}

// logged is a key's or a version's value as a log has it: numbers as they are, nil where there is none, all else as text.
func logged(given any) any {
	rv := value.Dereferenced(given)
	switch {
	case !rv.IsValid():
		return nil
	case rv.CanInt():
		return rv.Int()
	case rv.CanUint():
		return rv.Uint()
	}
	return value.Brief(rv.Interface())
}

// Is matches [ErrStaleData], and [ErrVersionMissing] where the version of a refused row was never loaded.
func (e *StaleDataError) Is(target error) bool {
	if target == ErrVersionMissing {
		for _, row := range e.Rows {
			if row.Reason == ReasonMissing {
				return true
			}
		}
	}
	return target == ErrStaleData
}

// As serves package occhttp: it gives the version that a single refused row has as [VersionText] has it.
func (e *StaleDataError) As(target any) bool {
	current, ok := target.(*conflict.Current)
	if !ok || len(e.Rows) != 1 {
		return false
	}
	*current = conflict.Current(cmp.Or(e.text, integerText(e.Rows[0].Actual)))
	return *current != ""
}

// integerText is the text of a version that is an integer; "" for others, and for the zero value.
func integerText(version any) string {
	if rv := value.Dereferenced(version); rv.IsValid() && !rv.IsZero() && (rv.CanInt() || rv.CanUint()) {
		return fmt.Sprint(logged(version))
	}
	return ""
}

// Unwrap gives the database's own error, if there is one.
func (e *StaleDataError) Unwrap() error { return e.Err }

// staleData is the public error of a refusal.
func staleData(refusal *conflict.Refusal) error {
	rows := make([]StaleRow, len(refusal.Rows))
	for i, row := range refusal.Rows {
		rows[i] = StaleRow{
			Index: row.Index, PrimaryKey: row.PrimaryKey,
			Expected: inPublic(row.Expected), Actual: inPublic(row.Actual), Reason: Reason(row.Reason), Blame: row.Blame,
		}
	}
	stale := &StaleDataError{Op: Op(refusal.Op), Table: refusal.Table, Rows: rows, Err: refusal.Err}
	if single := refusal.Rows[0]; len(rows) == 1 && integerText(single.Actual) == "" {
		stale.text = single.Text
	}
	if refusal.NoVersion {
		stale.Err = errNoText
	}
	return stale
}

// staleDataIn is the refusal in an error; nil if there is none.
func staleDataIn(err error) error {
	if refused := (*StaleDataError)(nil); errors.As(err, &refused) {
		return refused
	}
	return nil
}
