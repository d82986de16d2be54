package workload

import (
	"database/sql"
	"math/rand/v2"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/history"
)

// session is one of the goroutines: a user with copies of rows, some of them outdated.
type session struct {
	*Workload
	id     int
	random *rand.Rand
	held   map[string]any // pointers to models, by row
}

func (s *session) chance(percent int) bool { return s.random.IntN(100) < percent }

func oneOf[E any](s *session, choices []E) E { return choices[s.random.IntN(len(choices))] }

// scope is where a session's calls run: by themselves, or in a transaction.
type scope struct {
	*session
	db       *gorm.DB
	inTx     bool
	level    sql.IsolationLevel
	began    int64               // the transaction
	pending  []history.Operation // of the transaction
	written  map[string]bool     // rows, in the transaction
	restored []func()            // look at what models hold after a rollback
	// restoresMemory tells the library's transactions from GORM's, which leave models as they are.
	restoresMemory bool
}

// alone is the scope of calls that run by themselves.
func (s *session) alone(db *gorm.DB) *scope { return &scope{session: s, db: db} }

func (s *session) within(tx *gorm.DB, level sql.IsolationLevel, began int64) *scope {
	return &scope{session: s, db: tx, inTx: true, level: level, began: began, written: map[string]bool{}}
}

// seesSnapshot reports whether the transaction's reads are of a moment since it began, rather than of their own.
func (sc *scope) seesSnapshot() bool {
	isDefault := sc.level == sql.LevelDefault && sc.dialect == "postgres"
	return sc.inTx && (sc.dialect == "sqlite" || !isDefault && sc.level != sql.LevelReadCommitted)
}

// seesUncommitted reports whether what is read may never have been there.
func (sc *scope) seesUncommitted() bool { return sc.inTx && sc.level == sql.LevelReadUncommitted }

// note records an operation: at once, or when the outcome of its transaction is known.
func (sc *scope) note(o history.Operation) {
	if sc.count(o); !sc.inTx {
		sc.keep(o)
		return
	}
	// A refusal reads past the snapshot on MariaDB, and cannot on PostgreSQL.
	if sc.seesSnapshot() && (o.Action == history.Read || !isWritten(o) && sc.dialect != "mysql") {
		o.Began = sc.began
	}
	if o.Action == history.Read && sc.seesUncommitted() {
		return
	}
	sc.pending = append(sc.pending, o)
	if isWritten(o) {
		sc.written[o.Row] = true
	}
}

func isWritten(o history.Operation) bool {
	return o.Action != history.Read && o.Action != history.Verify && o.Outcome == history.Done
}

// settle records a transaction's operations, now that it is Done, Refused or Unknown: its writes happen when it is
// committed, or not at all.
func (sc *scope) settle(outcome history.Outcome) {
	for _, o := range sc.pending {
		if isWritten(o) {
			o.Outcome, o.Ended = outcome, sc.recorder.Now()
		}
		if o.Outcome != history.Refused {
			sc.keep(o)
		}
	}
	if outcome != history.Done {
		for _, isRestored := range sc.restored {
			isRestored()
		}
	}
	sc.pending, sc.restored = nil, nil
}

// keep records what is known of an operation for good. A row of which it is not known is left alone from now on: every
// such operation doubles what there is to check.
func (sc *scope) keep(o history.Operation) {
	sc.recorder.Add(o)
	if o.Outcome == history.Unknown {
		sc.retire(o.Row)
	}
}
