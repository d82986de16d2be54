package write

import (
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/batch"
	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/snapshot"
	"github.com/gorm-occ/occ/internal/value"
)

// ExpectedColumn is the version that a row is compared with.
func (c *Call) expectedColumn() rows.Column {
	version := c.Model.Version
	return rows.Column{Column: batch.Column{Name: rows.ExpectedColumn, Like: version.DBName}, Of: func(r *rows.Row) any {
		if version.Kind.IsZero(r.Expected) {
			return version.Kind.ZeroInSQL()
		}
		return version.Kind.Bind(r.Expected)
	}}
}

// NextColumn is the version that is written to a row.
func (c *Call) nextColumn() rows.Column {
	version := c.Model.Version
	return rows.Column{Column: batch.Column{Name: rows.NextColumn, Like: version.DBName}, Of: func(r *rows.Row) any {
		return version.Kind.Bind(r.Next)
	}}
}

// atVersion is the condition that a row is at a version.
type atVersion struct {
	field   *kind.Field
	version any
}

func (a atVersion) Build(builder clause.Builder) { a.field.IsAt(builder, a.version, make([]any, 1)) }

// isInReach tells a row that the statement would write: it is there, and no soft delete hides it.
func (c *Call) isInReach(state rows.State) bool {
	return state.IsThere && (!state.IsDeleted || c.Stmt.Unscoped)
}

func (c *Call) isCurrent(r *rows.Row, state rows.State) bool {
	return c.isInReach(state) && c.isAt(r, state.Version)
}

func (c *Call) isAt(r *rows.Row, version any) bool {
	if c.hasSnapshots() {
		return c.isSameImage(r, version)
	}
	return c.IsSame(r.Expected, version)
}

func (c *Call) IsSame(a, b any) bool {
	kind := c.Model.Version.Kind
	return kind.IsZero(a) && kind.IsZero(b) || kind.IsSame(a, b)
}

// writable are the rows that the caller's own conditions let through, each once.
func (c *Call) writable(hand []*rows.Row, states []rows.State) (writable []*rows.Row) {
	first := map[string]*rows.Row{}
	for i, r := range hand {
		if !states[i].Holds {
			continue
		}
		if twin := first[states[i].Key]; twin != nil {
			twin.Copies = append(twin.Copies, r)
			continue
		}
		first[states[i].Key] = r
		writable = append(writable, r)
	}
	return writable
}

func hasTwins(states []rows.State) bool {
	seen := map[string]bool{}
	for _, state := range states {
		if state.IsThere && seen[state.Key] {
			return true
		}
		seen[state.Key] = true
	}
	return false
}

func (c *Call) areCurrent(rows []*rows.Row, states []rows.State) bool {
	for i, r := range rows {
		if !c.isCurrent(r, states[i]) {
			return false
		}
	}
	return true
}

// distinct gives the rows of a write, each once: another model of the same row becomes a copy of the first one. With
// agree false, two models of one row are at different versions.
func (c *Call) distinct(models []*rows.Row) (hand []*rows.Row, agree bool) {
	first := make(map[string]*rows.Row, len(models))
	hand, agree = make([]*rows.Row, 0, len(models)), true
	for _, r := range models {
		key := value.KeyText(r.Key)
		if r.Key == nil {
			key = fmt.Sprintf("%p", r.Model.Addr().Interface())
		}
		twin := first[key]
		if twin == nil {
			first[key] = r
			hand = append(hand, r)
			continue
		}
		agree = agree && (c.IsSame(twin.Expected, r.Expected) || c.isAt(twin, r.Expected))
		twin.Copies = append(twin.Copies, r)
	}
	return hand, agree
}

// comparison is a snapshot in the place of an expected version: the columns of it that a write compares.
type comparison struct {
	w       *Call
	image   *snapshot.Image
	columns []int
}

// Build writes the condition that the row still holds what the snapshot does. Without a snapshot there is no such row.
func (c comparison) Build(builder clause.Builder) {
	plan := c.w.Model.Compares()
	if c.image == nil {
		_, _ = builder.WriteString("1 = 0")
		return
	}
	for i, column := range c.columns {
		if i > 0 {
			_, _ = builder.WriteString(clause.AndWithSpace)
		}
		stored := clause.Column{Table: clause.CurrentTable, Name: plan.Columns[column]}
		c.w.Dialect.Holds(stored, c.image.Types[column], c.image.Values[column]).Build(builder)
	}
	if len(c.columns) == 0 {
		_, _ = builder.WriteString("1 = 1")
	}
}

// comparedWith is what the condition on a row says of its version.
func (c *Call) comparedWith(r *rows.Row) any {
	if !c.hasSnapshots() {
		return r.Expected
	}
	return comparison{c, c.comparedImage(r), c.comparedColumns()}
}

func (c *Call) comparedColumns() []int {
	if c.snapshot != nil {
		return c.snapshot.compared
	}
	return c.Model.Compares().Compared
}

// chooseColumns finds out which columns a write with these assignments compares; a delete has none.
func (c *Call) chooseColumns(set clause.Set) {
	plan := c.Model.Compares()
	var written, dirty []int
	for _, assignment := range set {
		column := -1
		if field := c.Model.LookUpField(assignment.Column.Name); field != nil {
			column = plan.IndexOf(field.DBName)
		}
		if column < 0 {
			continue
		}
		written = append(written, column)
		if slices.Contains(plan.Compared, column) {
			dirty = append(dirty, column)
		}
	}
	c.snapshot = &snapshotWrite{compared: plan.Compared}
	if plan.IsDirty && len(dirty) > 0 {
		c.snapshot.compared = dirty
	}
	c.snapshot.learned = append(written, c.snapshot.compared...)
}

// comparedImage is the image that a row is compared with: none if it was never loaded, if it is of another row, or if it
// lacks a column.
func (c *Call) comparedImage(r *rows.Row) *snapshot.Image {
	image, _ := r.Expected.(*snapshot.Image)
	if image == nil || c.Identity == nil && r.Key != nil && !reflect.DeepEqual(r.Key, image.Key) {
		return nil
	}
	for _, column := range c.comparedColumns() {
		if !image.Has(column) {
			return nil
		}
	}
	return image
}

// isUnloaded tells a row of which the model does not hold what is to be compared.
func (c *Call) isUnloaded(r *rows.Row) bool {
	if c.hasSnapshots() {
		return c.comparedImage(r) == nil
	}
	return c.Model.Version.Kind.IsZero(r.Expected)
}

// isSameImage tells whether a row holds in the compared columns what the model was loaded with.
func (c *Call) isSameImage(r *rows.Row, stored any) bool {
	image := c.comparedImage(r)
	now, _ := stored.(*snapshot.Image)
	if image == nil || now == nil {
		return false
	}
	for _, column := range c.comparedColumns() {
		if !c.Dialect.SameStored(now.Types[column], image.Values[column], now.Values[column]) {
			return false
		}
	}
	return true
}

// learned is the version to give to a model whose row was written. Of a snapshot, it is the columns that the write has
// compared or set: of the others, the model still holds what it was loaded with.
func (c *Call) learned(r *rows.Row, stored any) any {
	now, ok := stored.(*snapshot.Image)
	if !ok || now == nil {
		return stored
	}
	image := *now
	image.Key = c.Model.Compares().KeyOf(c.Ctx, r.Model) // which the database may have given back in another form
	before, _ := r.Expected.(*snapshot.Image)
	if c.snapshot != nil && !c.isUnloaded(r) && !c.isUnchecked(r) {
		image.Values = slices.Clone(before.Values)
		for _, column := range c.snapshot.learned {
			image.Values[column] = now.Values[column]
		}
	}
	return &image
}
