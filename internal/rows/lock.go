package rows

import (
	"reflect"

	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/tx"
)

// AllKeys is the key of a row that was read, whose parts may well be zero.
func (s *Site) AllKeys(model reflect.Value) []any {
	key := make([]any, len(s.Model.PrimaryFields))
	for i, field := range s.Model.PrimaryFields {
		key[i], _ = field.ValueOf(s.Ctx, model)
	}
	return key
}

// LockFirst takes the write lock of a database that has only one, before anything is read in the transaction: after a
// foreign write, one that has read cannot write any more.
func (s *Site) LockFirst() error {
	if !s.Dialect.LocksWholeDatabase() || !tx.IsTransaction(s.Stmt.ConnPool) {
		return nil
	}
	stmt := s.Session().Statement
	_, err := stmt.ConnPool.ExecContext(s.Ctx, "DELETE FROM "+stmt.Quote(clause.Table{Name: s.Stmt.Table})+" WHERE 1 = 0")
	return err
}
