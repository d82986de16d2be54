package rows

import (
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/tx"
)

// LockFirst takes the write lock of a database that has only one, before anything is read in the transaction. A transaction that
// has read cannot write any more once another session has written.
func (s *Site) LockFirst() error {
	if !s.Dialect.LocksWholeDatabase || !tx.IsTransaction(s.Stmt.ConnPool) {
		return nil
	}
	none := s.Scratch()
	_, _ = none.WriteString("DELETE FROM ")
	none.WriteQuoted(clause.Table{Name: clause.CurrentTable}) // with its schema and its alias
	_, _ = none.WriteString(" WHERE 1 = 0")
	_, err := s.Stmt.ConnPool.ExecContext(s.Ctx, none.SQL.String())
	return err
}

// Locking returns the clause with which a query locks the rows of the table.
func (s *Site) Locking(strength string) clause.Locking {
	locking := clause.Locking{Strength: strength}
	if s.Dialect.LocksNamedTable {
		locking.Table = clause.Table{Name: s.Stmt.Table}
	}
	return locking
}
