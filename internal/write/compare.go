package write

import (
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/batch"
	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/snapshot"
)

// comparison is how rows are compared: with the versions that they are expected to be at, or with the Snapshots of their
// models.
type comparison interface {
	// condition returns what the condition on a row says of its version.
	condition(r *rows.Row) any
	// isAt reports whether a row is compared with what is stored.
	isAt(r *rows.Row, stored any) bool
	// isUnloaded reports whether a model does not hold what is to be compared.
	isUnloaded(r *rows.Row) bool
	// learned returns the version that a model has once its row was written, of what is stored then.
	learned(r *rows.Row, stored any) any
	// writeOne writes the one row of a plan if it is still what it is compared with.
	writeOne(p *plan, set clause.Set, send func(*gorm.DB)) (int64, error)
	// writeSeveral writes rows of a plan, each once, if all of them are still what they are compared with.
	writeSeveral(p *plan, hand []*rows.Row, how severalWrite) (int64, error)
}

// compareAll has a plan compare the versions of its rows, or all the columns of their snapshots.
func (p *plan) compareAll() {
	switch plan := p.Model.Compares(); {
	case p.Model.Version == nil:
	case plan != nil:
		p.compare = &bySnapshot{p: p, compared: plan.Compared}
	default:
		p.compare = byVersion{&p.Site}
	}
}

// compareFor has a plan compare what a write with assignments is to be compared with: of snapshots that are tagged dirty,
// the columns that are set.
func (p *plan) compareFor(set clause.Set) {
	if plan := p.Model.Compares(); plan != nil {
		p.compare = p.snapshotsFor(plan, set)
	}
}

// byVersion compares a row with the version that it is expected to be at.
type byVersion struct{ site *rows.Site }

func (v byVersion) condition(r *rows.Row) any { return r.Expected }

func (v byVersion) isAt(r *rows.Row, stored any) bool {
	return v.site.IsSame(r.Expected, stored)
}

func (v byVersion) isUnloaded(r *rows.Row) bool { return v.site.Model.Version.Kind.IsZero(r.Expected) }

func (v byVersion) learned(_ *rows.Row, stored any) any { return stored }

// bySnapshot compares a row with the values that its model was loaded with.
type bySnapshot struct {
	p        *plan
	compared []int // the columns that are compared
	learns   []int // the columns of which it is known afterwards what is stored, since they were compared or written
	isChosen bool  // by the columns that are written
}

// snapshotsFor chooses the columns that a write with these assignments compares; a delete has none.
func (p *plan) snapshotsFor(plan *snapshot.Plan, set clause.Set) *bySnapshot {
	var written, dirty []int
	isKnown := true
	for _, assignment := range set {
		field := p.Model.FieldOf(assignment.Column.Name)
		if field == nil {
			isKnown = false
			continue
		}
		column := plan.IndexOf(field.DBName)
		if column < 0 {
			continue
		}
		written = append(written, column)
		if slices.Contains(plan.Compared, column) {
			dirty = append(dirty, column)
		}
	}
	s := &bySnapshot{p: p, compared: plan.Compared, isChosen: true}
	if plan.IsDirty && len(dirty) > 0 && isKnown {
		s.compared = dirty
	}
	s.learns = append(written, s.compared...)
	return s
}

func (s *bySnapshot) condition(r *rows.Row) any { return holds{s, s.image(r)} }

// image returns the image that a row is compared with. It is nil if the row was never loaded, or if the image is of another row
// or lacks a column.
func (s *bySnapshot) image(r *rows.Row) *snapshot.Image {
	image, _ := r.Expected.(*snapshot.Image)
	if image == nil || s.p.by.Identity == nil && r.Key != nil && !reflect.DeepEqual(r.Key, image.Key) {
		return nil
	}
	for _, column := range s.compared {
		if !image.Has(column) {
			return nil
		}
	}
	return image
}

func (s *bySnapshot) isAt(r *rows.Row, stored any) bool {
	image := s.image(r)
	now, _ := stored.(*snapshot.Image)
	if image == nil || now == nil {
		return false
	}
	for _, column := range s.compared {
		if !s.p.Dialect.SameStored(now.Types[column], image.Values[column], now.Values[column]) {
			return false
		}
	}
	return true
}

func (s *bySnapshot) isUnloaded(r *rows.Row) bool { return s.image(r) == nil }

// learned has the columns that the write has compared or set; of the others, the model still holds what it was loaded with.
func (s *bySnapshot) learned(r *rows.Row, stored any) any {
	now, ok := stored.(*snapshot.Image)
	if !ok || now == nil {
		return stored
	}
	image := *now
	image.Key = s.p.Model.Compares().KeyOf(s.p.Ctx, r.Model) // which the database may have given back in another form
	before, _ := r.Expected.(*snapshot.Image)
	if s.isChosen && !s.isUnloaded(r) && !s.p.isUnchecked(r) {
		image.Values = slices.Clone(before.Values)
		for _, column := range s.learns {
			image.Values[column] = now.Values[column]
		}
	}
	return &image
}

// holds is the condition that a row still holds what a snapshot does.
type holds struct {
	*bySnapshot
	image *snapshot.Image
}

// Build writes the condition. Without a snapshot there is no such row.
func (h holds) Build(builder clause.Builder) {
	plan := h.p.Model.Compares()
	if h.image == nil {
		_, _ = builder.WriteString("1 = 0")
		return
	}
	for i, column := range h.compared {
		if i > 0 {
			_, _ = builder.WriteString(clause.AndWithSpace)
		}
		stored := clause.Column{Table: clause.CurrentTable, Name: plan.Columns[column]}
		h.p.Dialect.Holds(stored, h.image.Types[column], h.image.Values[column]).Build(builder)
	}
	if len(h.compared) == 0 {
		_, _ = builder.WriteString("1 = 1")
	}
}

// expectedColumn is the version that each row of a batch is compared with.
func (c *Call) expectedColumn() rows.Column {
	version := c.Model.Version
	return rows.Column{Column: batch.Column{Name: rows.ExpectedColumn, Like: version.DBName}, Of: func(r *rows.Row) any {
		if version.Kind.IsZero(r.Expected) {
			return version.Kind.ZeroInSQL()
		}
		return version.Kind.Bind(r.Expected)
	}}
}

// nextColumn is the version that is written to each row of a batch.
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
