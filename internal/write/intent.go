package write

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/snapshot"
	"github.com/gorm-occ/occ/internal/value"
)

// keepsKey leaves the conditions on the key that GORM has added where they are of a model of another type on the same
// table: it names rows, but not to the plugin. Then they are the caller's.
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

// withoutVersion drops the version that a payload tried to set, and from a whole row the columns that are unversioned.
// What is left then, if it is automatic timestamps at most, is nothing; a Save of a model that has no other columns
// still writes the next version.
func (c *Call) withoutVersion(set clause.Set) (clause.Set, error) {
	kept, others := c.roomForSet(len(set)+1), 0
	for _, assignment := range set {
		if c.isVersionColumn(assignment.Column.Name) || c.isLeftOut(assignment.Column.Name) {
			continue
		}
		kept = append(kept, assignment)
		if !c.isTimestamp(assignment) {
			others++
		}
	}
	if len(kept) < len(set) && others == 0 && !c.isWholeRow() {
		return nil, c.versionAlone(set)
	}
	return kept, nil
}

// isLeftOut reports whether a column is an unversioned one in the write of a whole model: a stale copy must not overwrite
// it. Naming the column in Select writes it.
func (c *Call) isLeftOut(column string) bool {
	if !c.Model.HasUnversioned || !c.writesModel() {
		return false
	}
	field := c.Model.LookUpField(column)
	return field != nil && kind.IsUnversioned(field) &&
		!slices.Contains(c.Stmt.Selects, field.DBName) && !slices.Contains(c.Stmt.Selects, field.Name)
}

// writesModel reports whether the payload of the call is the model itself: Save(&m), Updates(&m), and Updates(m) by value.
func (c *Call) writesModel() bool {
	if c.destIsModel() || slices.Contains(c.Stmt.Selects, "*") {
		return true
	}
	dest := reflect.ValueOf(c.Stmt.Dest)
	return dest.Kind() == reflect.Struct && dest.Type() == c.Model.ModelType &&
		reflect.TypeOf(c.Stmt.Model) == dest.Type() && c.KeyOf(dest) != nil
}

// isVersionColumn reports whether a name is the version's column, by any name that GORM or the database takes for it.
func (c *Call) isVersionColumn(name string) bool {
	version := c.Model.Version
	if version == nil || version.DBName == "" {
		return false
	}
	if name == version.DBName {
		return true
	}
	if field := c.Model.LookUpField(name); field != nil {
		return field.DBName == version.DBName
	}
	// databases take a name in other letters, in quotes and with its table too, GORM's schema does not
	name = model.Unquoted.Replace(name)
	return strings.EqualFold(name[strings.LastIndexByte(name, '.')+1:], version.DBName)
}

// isWholeRow reports whether the call writes all columns of the model itself, as Save does.
func (c *Call) isWholeRow() bool {
	return len(c.Stmt.Selects) == 1 && c.Stmt.Selects[0] == "*" && c.destIsModel()
}

func (c *Call) destIsModel() bool {
	dest, model := reflect.ValueOf(c.Stmt.Dest), reflect.ValueOf(c.Stmt.Model)
	return dest.Kind() == reflect.Pointer && model.Kind() == reflect.Pointer && dest.Pointer() == model.Pointer()
}

// leavesVersion reports whether the assignments touch only unversioned columns and automatic timestamps, so that the write
// neither compares nor advances the version.
func (c *Call) leavesVersion(set clause.Set) bool {
	for _, assignment := range set {
		field := c.Model.LookUpField(assignment.Column.Name)
		if !c.isTimestamp(assignment) && (field == nil || !kind.IsUnversioned(field)) {
			return false
		}
	}
	return !c.isWholeRow() && c.switches.Touch == nil
}

// isTimestamp reports whether GORM sets a column to the current time, unless the caller set it by name.
func (c *Call) isTimestamp(assignment clause.Assignment) bool {
	if !c.Model.HasTimestamps {
		return false
	}
	field := c.Model.LookUpField(assignment.Column.Name)
	if field == nil || field.AutoUpdateTime == 0 || c.Stmt.SkipHooks || c.Model.Compares() != nil && snapshot.IsToken(field) {
		return false
	}
	if _, given := c.clausesBefore("SET"); given {
		return false
	}
	payload, _ := c.givenMaps().(map[string]any)
	return payload[field.Name] == nil && payload[field.DBName] == nil
}

// payloadVersion is the version that the payload of an update carries, which says what it was based on; nil if none.
func (c *Call) payloadVersion() (version any, err error) {
	if given, ok := c.clausesBefore("SET"); ok {
		set, _ := given.Expression.(clause.Set)
		for _, assignment := range set {
			if version, err = c.orVersion(version, assignment.Column.Name, assignment.Value); err != nil {
				return nil, err
			}
		}
		return version, nil
	}
	payload := value.Indirect(reflect.ValueOf(c.Stmt.Dest))
	if !payload.IsValid() {
		return nil, nil
	}
	values, ok := c.givenMaps().(map[string]any)
	if !ok {
		return c.versionOfStruct(payload), nil
	}
	for name, value := range values {
		if version, err = c.orVersion(version, name, value); err != nil {
			return nil, err
		}
	}
	return version, nil
}

// orVersion is the version found so far in a payload, or the one that its next column holds: two of them, under two of the
// column's names, do not say what the payload was based on.
func (c *Call) orVersion(found any, column string, value any) (any, error) {
	if value == nil || !c.isVersionColumn(column) || clauses.IsExpression(value) {
		return found, nil
	}
	if found != nil && !reflect.DeepEqual(found, value) {
		return nil, fmt.Errorf("occ: model %s, field %s: the payload holds two versions: keep one", c.Model.Name, c.Model.Version.Name)
	}
	return value, nil
}

// versionOfStruct finds the version in a struct that updates another model, of the same type or not.
func (c *Call) versionOfStruct(payload reflect.Value) any {
	if payload.Kind() != reflect.Struct || payload.Type() == c.Model.ModelType && c.destIsModel() || c.Model.Version == nil {
		return nil
	}
	s := c.Model.Schema
	if c.Model.Compares() != nil {
		return c.snapshotOfStruct(payload)
	}
	if payload.Type() != s.ModelType {
		parsed := &gorm.Statement{DB: c.DB}
		if parsed.Parse(c.Stmt.Dest) != nil {
			return nil
		}
		s = parsed.Schema
	}
	field := s.LookUpField(c.Model.Version.DBName)
	if field == nil {
		return nil
	}
	if version, isZero := field.ValueOf(c.Ctx, payload); !isZero {
		return version
	}
	return nil
}

// andVersion adds the version to what a statement sets, unless the database writes it.
func (c *Call) andVersion(set clause.Set, version any) clause.Set {
	if c.Model.Version.ByDatabase {
		return c.nonEmpty(set)
	}
	if _, inSQL := version.(clause.Expression); !inSQL {
		version = c.Model.Version.Kind.Bind(version)
	}
	return c.alsoSet(set, clause.Assignment{Column: clause.Column{Name: c.Model.Version.DBName}, Value: version})
}

// alsoSet has the UPDATE set one more column. That of a soft delete is built by GORM inside gorm:delete, and keeps what
// stands behind the SET; a hard delete has no SET.
func (c *Call) alsoSet(set clause.Set, assignment clause.Assignment) clause.Set {
	if !c.isDelete() {
		return append(set, assignment)
	}
	c.Stmt.Clauses["SET"] = clause.Clause{AfterExpression: clauses.FurtherAssignments{assignment}}
	return nil
}

// isUnchecked reports whether the caller asked not to compare a row.
func (p *plan) isUnchecked(r *rows.Row) bool {
	return p.switches.Unchecked || p.Plugin.BlindWrites && !p.expects && p.Model.Version.Kind.IsZero(r.Expected)
}

// snapshotOfStruct is the snapshot in the payload of an update, which says what it was based on; nil if none.
func (c *Call) snapshotOfStruct(payload reflect.Value) any {
	if payload.Type() != c.Model.ModelType {
		return nil
	}
	if image := c.Model.Snapshot.Of(payload); image != nil {
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

// isBlind reports whether the caller asked to compare none of the rows.
func (p *plan) isBlind() bool {
	isCompared := func(r rows.Row) bool { return !p.isUnchecked(&r) }
	return p.switches.Unchecked || p.Plugin.BlindWrites && !p.expects && !slices.ContainsFunc(p.rows, isCompared)
}
