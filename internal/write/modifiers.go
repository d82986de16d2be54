package write

import (
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// insertModifier returns what the caller put behind INSERT.
func insertModifier(stmt *gorm.Statement) string {
	insert, _ := stmt.Clauses["INSERT"].Expression.(clause.Insert)
	return insert.Modifier
}

// checkModifiers refuses what the caller put behind UPDATE or DELETE where the statement would replace rows that it does not compare,
// or would skip one in hand, which could not be told from a row that others have changed. A soft delete is an UPDATE.
func (p *plan) checkModifiers() error {
	if p.Model.Version == nil {
		return nil
	}
	update, _ := p.Stmt.Clauses["UPDATE"].Expression.(clause.Update)
	remove, _ := p.Stmt.Clauses["DELETE"].Expression.(clause.Delete)
	for _, modifier := range []string{update.Modifier, remove.Modifier} {
		skips, replaces := p.Dialect.ModeOf(modifier)
		switch {
		case replaces:
			return p.modifierError(modifier, "it would replace rows without comparing them")
		case skips && len(p.rows) > 0:
			return p.modifierError(modifier, "a row that it skips could not be told from one that is stale")
		}
	}
	return nil
}

func (p *plan) modifierError(modifier, why string) error {
	return fmt.Errorf("occ: model %s has a version: it cannot be written with %q, %s: %w", p.Model.Name, modifier, why, gorm.ErrInvalidData)
}
