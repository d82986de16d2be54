package rows

import (
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/model"
)

// Condition is the condition on one row: every part of its key, where GORM leaves out those that are zero and so
// writes other rows, and its version.
type Condition struct {
	Model      *model.Model
	Key        []any
	Version    any
	IsCompared bool
	bound      [1]any // room for the version as it is sent
}

func (c *Condition) Build(builder clause.Builder) {
	for i := range c.Key {
		if i > 0 {
			_, _ = builder.WriteString(clause.AndWithSpace)
		}
		clauses.WriteEq(builder, c.Model.KeyColumns[i], c.Key[i:i+1])
	}
	if !c.IsCompared {
		return
	}
	if len(c.Key) > 0 {
		_, _ = builder.WriteString(clause.AndWithSpace)
	}
	c.Model.Version.IsAt(builder, c.Version, c.bound[:])
}
