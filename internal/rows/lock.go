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
	stmt := s.Session().Statement
	_, err := stmt.ConnPool.ExecContext(s.Ctx, "DELETE FROM "+stmt.Quote(clause.Table{Name: s.Stmt.Table})+" WHERE 1 = 0")
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
