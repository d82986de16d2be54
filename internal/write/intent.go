package write

import (
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/snapshot"
	"github.com/gorm-occ/occ/internal/value"
)

// keepsKey reports whether the conditions on the key that GORM has added stay: those of a model of another type on the same
// table, whose rows the plugin does not know. They count as the caller's then.
func (p *plan) keepsKey() bool {
	where := p.by.Own
	own, _ := where.Expression.(clause.Where)
	all, _ := p.Stmt.Clauses["WHERE"].Expression.(clause.Where)
	added := all.Exprs[min(len(own.Exprs), len(all.Exprs)):]
	if len(added) == 0 || p.namesModels() {
		return false
	}
	if len(own.Exprs) > 0 {
		added = append([]clause.Expression{clauses.Group{Conditions: own.Exprs}}, added...)
	}
	where.Name, where.Expression = "WHERE", clause.Where{Exprs: added}
	p.by.Own, p.Stmt.Clauses["WHERE"] = where, where
	return true
}

// namesModels reports whether the rows of the write are known by their models.
func (p *plan) namesModels() bool {
	return len(p.rows) > 0 && p.rows[0].Key != nil
}

// updatePayload is what an UPDATE was given to set: a map, a struct, or a SET of the caller's.
type updatePayload struct {
	*rows.Site
	set  clause.Set // the caller's SET
	sets bool       // there is one
}

func (c *Call) payload() updatePayload {
	given, sets := c.before.of("SET")
	set, _ := given.Expression.(clause.Set)
	return updatePayload{&c.Site, set, sets}
}

// withoutVersion drops the version that the payload tried to set, and from a whole row the columns that are unversioned.
// What is left then, if it is automatic timestamps at most, is nothing. A Save of a model that has no other columns still
// writes the next version. The assignments that are left are put in room.
func (u updatePayload) withoutVersion(set, room clause.Set) (clause.Set, error) {
	kept, others := room, 0
	for _, assignment := range set {
		if u.Model.IsVersionColumn(assignment.Column.Name) || u.isLeftOut(assignment.Column.Name) {
			continue
		}
		kept = append(kept, assignment)
		if !u.isTimestamp(assignment) {
			others++
		}
	}
	if len(kept) < len(set) && others == 0 && !isWholeRow(u.Stmt) {
		return nil, versionAlone(u.Model, set)
	}
	return kept, nil
}

// versionAlone reports as an error a write of nothing but the version, as an expression: it would be left out, and nothing
// would happen.
func versionAlone(m *model.Model, set clause.Set) error {
	for _, assignment := range set {
		if m.IsVersionColumn(assignment.Column.Name) && clauses.IsExpression(assignment.Value) {
			return fmt.Errorf("occ: model %s, field %s: a write of the version alone, as an expression: call occ.Touch to write the next version and nothing else: %w",
				m.Name, m.Version.Name, gorm.ErrInvalidData)
		}
	}
	return nil
}

// isLeftOut reports whether a column is an unversioned one in the write of a whole model: a stale copy must not overwrite
// it. Naming the column in Select writes it.
func (u updatePayload) isLeftOut(column string) bool {
	if !u.Model.HasUnversioned || !writesModel(u.Site) {
		return false
	}
	field := u.Model.FieldOf(column)
	return field != nil && kind.IsUnversioned(field) &&
		!slices.Contains(u.Stmt.Selects, field.DBName) && !slices.Contains(u.Stmt.Selects, field.Name)
}

// writesModel reports whether the payload of a statement is a model as it was loaded: Save(&m), Updates(&m), Updates(m) by value,
// and Updates of a copy. A map names the columns that it writes.
func writesModel(s *rows.Site) bool {
	if destIsModel(s.Stmt) {
		return true
	}
	dest := value.Indirect(reflect.ValueOf(s.Stmt.Dest))
	switch {
	case dest.Kind() == reflect.Map:
		return false
	case slices.Contains(s.Stmt.Selects, "*"):
		return true
	case !s.Model.IsModel(dest) || s.KeyOf(dest) == nil:
		return false
	}
	isOfOneType := reflect.TypeOf(s.Stmt.Model) == reflect.TypeOf(s.Stmt.Dest)
	return isOfOneType && dest.Type() == reflect.TypeOf(s.Stmt.Dest) || s.Model.Version != nil && !s.Model.Version.Kind.IsZero(s.Model.Version.Of(s.Ctx, dest))
}

// isWholeRow reports whether a statement writes all columns of the model itself, as Save does.
func isWholeRow(stmt *gorm.Statement) bool { return writesAllColumns(stmt) && destIsModel(stmt) }

// savesModel reports the same, and also for a model that Save was given by value.
func savesModel(stmt *gorm.Statement, modelType reflect.Type) bool {
	isByValue := reflect.TypeOf(stmt.Dest) == modelType
	return isWholeRow(stmt) || isByValue && writesAllColumns(stmt) && reflect.DeepEqual(stmt.Dest, stmt.Model)
}

func writesAllColumns(stmt *gorm.Statement) bool {
	return len(stmt.Selects) == 1 && stmt.Selects[0] == "*"
}

func destIsModel(stmt *gorm.Statement) bool {
	dest, model := reflect.ValueOf(stmt.Dest), reflect.ValueOf(stmt.Model)
	return dest.Kind() == reflect.Pointer && model.Kind() == reflect.Pointer && dest.Pointer() == model.Pointer()
}

// leavesVersion reports whether the assignments touch only unversioned columns and automatic timestamps, so that the write
// neither compares nor advances the version.
func (c *Call) leavesVersion(set clause.Set) bool {
	payload := c.payload()
	for _, assignment := range set {
		field := c.Model.FieldOf(assignment.Column.Name)
		if !payload.isTimestamp(assignment) && (field == nil || !kind.IsUnversioned(field)) {
			return false
		}
	}
	return !isWholeRow(c.Stmt) && c.switches.Touch == nil
}

// isTimestamp reports whether GORM sets a column to the current time, unless the caller set it by name.
func (u updatePayload) isTimestamp(assignment clause.Assignment) bool {
	if !u.Model.HasTimestamps {
		return false
	}
	field := u.Model.FieldOf(assignment.Column.Name)
	if field == nil || field.AutoUpdateTime == 0 || u.Stmt.SkipHooks || u.Model.Compares() != nil && snapshot.IsToken(field) || u.sets {
		return false
	}
	named, _ := givenMap(u.Stmt)
	return named[field.Name] == nil && named[field.DBName] == nil
}

// version returns the version that the payload carries, which says what it was based on; nil if none.
func (u updatePayload) version() (version any, err error) {
	if u.sets {
		for _, assignment := range u.set {
			if version, err = orVersion(u.Model, version, assignment.Column.Name, assignment.Value); err != nil {
				return nil, err
			}
		}
		return version, nil
	}
	payload := value.Indirect(reflect.ValueOf(u.Stmt.Dest))
	if !payload.IsValid() {
		return nil, nil
	}
	values, isMap := givenMap(u.Stmt)
	if !isMap {
		return u.versionOfStruct(payload), nil
	}
	for name, value := range values {
		if version, err = orVersion(u.Model, version, name, value); err != nil {
			return nil, err
		}
	}
	return version, nil
}

// orVersion returns the version found so far in a payload, or the one that its next column holds. Two different ones, under
// two of the column's names, are an error: they do not say what the payload was based on.
func orVersion(m *model.Model, found any, column string, value any) (any, error) {
	if value == nil || !m.IsVersionColumn(column) || clauses.IsExpression(value) {
		return found, nil
	}
	if found != nil && !reflect.DeepEqual(found, value) {
		return nil, fmt.Errorf("occ: model %s, field %s: the payload holds two versions: keep one", m.Name, m.Version.Name)
	}
	return value, nil
}

// versionOfStruct finds the version in a struct that updates another model, of the same type or not.
func (u updatePayload) versionOfStruct(payload reflect.Value) any {
	if payload.Kind() != reflect.Struct || payload.Type() == u.Model.ModelType && destIsModel(u.Stmt) || u.Model.Version == nil {
		return nil
	}
	s := u.Model.Schema
	if u.Model.Compares() != nil {
		return snapshotOf(u.Model, payload)
	}
	if payload.Type() != s.ModelType {
		parsed := &gorm.Statement{DB: u.DB}
		if parsed.Parse(u.Stmt.Dest) != nil {
			return nil
		}
		s = parsed.Schema
	}
	field := s.LookUpField(u.Model.Version.DBName)
	if field == nil {
		return nil
	}
	if version, isZero := field.ValueOf(u.Ctx, payload); !isZero {
		return version
	}
	return nil
}

// andVersion adds the version to what a statement sets, unless the database writes it.
func (c *Call) andVersion(set clause.Set, version any) clause.Set {
	switch {
	case c.Model.Version.ByDatabase && c.isDelete():
		return set
	case c.Model.Version.ByDatabase:
		return nonEmpty(c.Model, set)
	}
	if _, inSQL := version.(clause.Expression); !inSQL {
		version = c.Model.Version.Kind.Bind(version)
	}
	return c.alsoSet(set, clause.Assignment{Column: clause.Column{Name: c.Model.Version.DBName}, Value: version})
}

// alsoSet has the UPDATE set one more column. That of a soft delete is built by GORM inside gorm:delete, which keeps what is
// behind the SET. A hard delete has no SET, which is certain where no clauses of others make an UPDATE of it.
func (c *Call) alsoSet(set clause.Set, assignment clause.Assignment) clause.Set {
	switch {
	case !c.isDelete():
		return append(set, assignment)
	case c.isHardDelete() && c.Model.HasPlainStatements:
		return nil
	}
	c.Stmt.Clauses["SET"] = clause.Clause{AfterExpression: clauses.FurtherAssignments{assignment}}
	return nil
}

// isUnchecked reports whether the caller asked that a row is not compared.
func (p *plan) isUnchecked(r *rows.Row) bool {
	return p.switches.Unchecked || p.Plugin.BlindWrites && !p.expects && p.Model.Version.Kind.IsZero(r.Expected)
}

// snapshotOf returns the snapshot in the payload of an update, which says what it was based on; nil if none.
func snapshotOf(m *model.Model, payload reflect.Value) any {
	if payload.Type() != m.ModelType {
		return nil
	}
	if image := m.Snapshot.Of(payload); image != nil {
		return image
	}
	return nil
}

// givenVersion returns the version that the caller said the write is based on; isGiven is false where none was said.
func (c *Call) givenVersion(payload any) (given any, isGiven bool, err error) {
	version := c.Model.Version
	if version == nil {
		return nil, false, nil
	}
	if c.switches.Expects {
		given, err = c.switches.VersionFor(version)
		return given, true, err
	}
	if payload == nil {
		return nil, false, nil
	}
	given, err = version.Convert(payload, "the version in the payload")
	if err != nil || version.Kind.IsZero(given) {
		return nil, false, err
	}
	return given, true, nil
}

// isBlind reports whether the caller asked that none of the rows is compared.
func (p *plan) isBlind() bool {
	isCompared := func(r rows.Row) bool { return !p.isUnchecked(&r) }
	return p.switches.Unchecked || p.Plugin.BlindWrites && !p.expects && !slices.ContainsFunc(p.rows, isCompared)
}
