package read

import (
	"errors"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/snapshot"
)

// prepare has the plugin know the model that is read, and its table. It reports a wrong declaration before the first write does.
func (r *Reader) prepare(db *gorm.DB) {
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
