package tx

import (
	"gorm.io/gorm"
)

// Lock has a transaction lock what it reads.
func (js *Journals) Lock(tx *gorm.DB, j *Journal) error {
	j.Locks, j.Locked = true, true
	conn := ConnectionOf(tx.Statement.ConnPool)
	for _, query := range js.Dialect.LockAtBegin {
		if _, err := conn.ExecContext(tx.Statement.Context, query); err != nil {
			return err
		}
	}
	return nil
}
