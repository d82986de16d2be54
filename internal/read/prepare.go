package read

import (
	"errors"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/snapshot"
)

// meet makes the acquaintance of a model that is read, so that its table is known and a wrong declaration is said early.
func (r *Reader) meet(db *gorm.DB) {
	Resume(db)
	if db.Statement.Schema == nil {
		return
	}
	m := r.ModelOfSchema(db.Statement.Schema)
	if m.Err != nil && db.Error == nil && !errors.Is(m.Err, snapshot.ErrTwoSnapshots) {
		_ = db.AddError(m.Err)
	}
	selectXmin(db, m)
}
