package workload

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/history"
)

// explain turns the error of a call into what it says of the row. It returns false where the call was certainly
// without effect, and says nothing.
func (sc *scope) explain(o *history.Operation, t traits, op occ.Op, err error) bool {
	var refusal *occ.StaleDataError
	switch {
	case err == nil:
		o.Outcome = history.Done
	case errors.As(err, &refusal):
		return sc.explainRefusal(o, t, op, refusal)
	case errors.Is(err, gorm.ErrRecordNotFound):
		o.Outcome = history.Gone
	case gotInTheWay(err), aborted(err), duplicate(err) && (o.Action == history.Create || o.Action == history.Put):
		return false
	case disturbed(err) && sc.isDisturbed():
		o.Outcome = history.Unknown
		return !sc.inTx // it is not committed
	default:
		sc.Report("unexpected error", fmt.Sprintf("%s of %s: %T: %v", o.Call, o.Row, err, err))
		return false
	}
	return true
}

func (sc *scope) explainRefusal(o *history.Operation, t traits, op occ.Op, refusal *occ.StaleDataError) bool {
	stale, ok := t.find(refusal, o.Row)
	if refusal.Op != op || refusal.Table != t.name {
		sc.Report("wrong refusal", fmt.Sprintf("%s of %s: %s", o.Call, o.Row, refusal))
	}
	if !ok { // of several rows, this one was as it was expected
		o.Action, o.Outcome = history.Verify, history.Done
		return true
	}
	if !t.isSnapshot && o.Expected != "" && text(stale.Expected) != o.Expected {
		sc.Report("wrong version expected", fmt.Sprintf("%s of %s at %s: %s", o.Call, o.Row, o.Expected, refusal))
	}
	o.Version = text(stale.Actual)
	switch stale.Reason {
	case occ.ReasonDeleted:
		o.Outcome, o.Version = history.Gone, ""
	case occ.ReasonChanged, occ.ReasonMissing:
		o.Outcome = history.Changed
	case occ.ReasonAhead:
		o.Outcome = history.Ahead
		sc.requireAhead(*o, refusal)
	default:
		o.Outcome = history.Refused
		sc.requireUnknown(*o, refusal)
	}
	return true
}

// find is the row of a refusal. Where the write named no key, there is only one.
func (t traits) find(refusal *occ.StaleDataError, row string) (occ.StaleRow, bool) {
	for _, stale := range refusal.Rows {
		if len(stale.PrimaryKey) == 0 || t.row(stale.PrimaryKey["id"]) == row {
			return stale, true
		}
	}
	return occ.StaleRow{}, false
}

func (t traits) row(id any) string { return fmt.Sprintf("%s/%v", t.name, id) }

func (sc *scope) requireAhead(o history.Operation, refusal error) {
	if o.Expected != "" && !isBefore(o.Version, o.Expected) {
		sc.Report("not ahead", fmt.Sprintf("%s of %s at %s: %s", o.Call, o.Row, o.Expected, refusal))
	}
}

// isBefore compares versions that count, or are times.
func isBefore(a, b string) bool {
	m, errM := strconv.ParseInt(a, 10, 64)
	n, errN := strconv.ParseInt(b, 10, 64)
	if errM == nil && errN == nil {
		return m < n
	}
	s, errS := time.Parse(time.RFC3339Nano, a)
	t, errT := time.Parse(time.RFC3339Nano, b)
	return errS == nil && errT == nil && s.Before(t)
}

// requireUnknown wants a reason that is not known to have a cause: the database found the conflict, or the row could not
// be read, because the write named no key or MariaDB found a deadlock in reading, or it came back after the write had
// missed it.
func (sc *scope) requireUnknown(o history.Operation, refusal *occ.StaleDataError) {
	if refusal.Err == nil && len(refusal.Rows[0].PrimaryKey) > 0 && sc.dialect != "mysql" && !sc.isDisturbed() && !sc.comesBack(o.Row) {
		sc.Report("no reason", fmt.Sprintf("%s of %s at %s: %s", o.Call, o.Row, o.Expected, refusal))
	}
}
