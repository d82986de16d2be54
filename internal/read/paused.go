package read

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// pausedClause keeps the configuration of a statement that was paused.
const pausedClause = "occ:paused"

type paused struct{ config *gorm.Config }

// Build writes nothing.
func (paused) Build(clause.Builder) {}

// configure gives a statement a configuration of its own until resume takes it back.
func configure(db *gorm.DB, change func(config *gorm.Config)) {
	db.Statement.Clauses[pausedClause] = clause.Clause{Expression: paused{db.Config}}
	config := *db.Config
	change(&config)
	db.Config = &config
}

func Resume(db *gorm.DB) {
	c, ok := db.Statement.Clauses[pausedClause]
	if !ok {
		return
	}
	delete(db.Statement.Clauses, pausedClause)
	if p, ok := c.Expression.(paused); ok {
		db.Config = p.config
	}
}
