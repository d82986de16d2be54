package merge

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/intent"
	"github.com/gorm-occ/occ/internal/value"
)

// CheckSides refuses models that are not three states of one row.
func (s *Subject) CheckSides(caller string, base, mine, theirs any) error {
	names := [...]string{"base", "mine", "theirs"}
	sides := [...]reflect.Value{reflect.ValueOf(base).Elem(), reflect.ValueOf(mine).Elem(), reflect.ValueOf(theirs).Elem()}
	for i, side := range sides {
		if !side.IsValid() {
			return s.nilError(caller, names[i])
		}
	}
	for _, field := range s.model.PrimaryFields {
		for i, side := range sides {
			if !(value.Column{Field: field}).IsSame(s.ctx, sides[1], side) {
				return fmt.Errorf("occ: %s of model %s: mine and %s have different primary keys: they are not the same row: %w", caller, s.model.Name, names[i], gorm.ErrInvalidValue)
			}
		}
	}
	return s.checkBase(caller, sides[0], sides[1])
}

func (s *Subject) checkBase(caller string, base, mine reflect.Value) error {
	version := s.model.Version
	if version == nil {
		return nil
	}
	of, kind := version.Of(s.ctx, base), version.Kind
	if own := version.Of(s.ctx, mine); !kind.IsZero(of) && !kind.IsZero(own) && kind.IsAhead(of, own) {
		return fmt.Errorf("occ: %s of model %s: base, at version %s, is newer than mine, at %s: it has to be what mine was loaded as: %w",
			caller, s.model.Name, value.FormatVersion(of), value.FormatVersion(own), gorm.ErrInvalidValue)
	}
	return nil
}

// merge is a merge on its way.
type merge struct {
	ctx                context.Context
	base, mine, theirs reflect.Value
	Merged             reflect.Value
	applied            []value.Column // what mine changed
	Conflicts          []Conflict
	form               intent.Rebase
}

// Conflict is a column that both sides changed to different values.
type Conflict struct {
	Field, Column      string
	Base, Mine, Theirs any
}

// MergeSides merges pointers to three models.
func MergeSides(s *Subject, base, mine, theirs any) *merge {
	m := &merge{ctx: s.ctx, base: reflect.ValueOf(base).Elem(), mine: reflect.ValueOf(mine).Elem(), theirs: reflect.ValueOf(theirs).Elem()}
	m.form = intent.RebaseOf(s.db.Statement)
	m.Merged = reflect.New(s.model.ModelType).Elem()
	m.Merged.Set(m.theirs)
	columns := s.model.Columns()
	for _, c := range columns {
		c.Detach(m.Merged, m.theirs)
	}
	for _, c := range columns {
		if s.model.IsMerged(c) && m.form.IsAbout(c.DBName) {
			m.add(c)
		}
	}
	m.dropEmbedded(columns)
	return m
}

func (m *merge) add(c value.Column) {
	switch {
	case c.IsSame(m.ctx, m.base, m.mine):
	case c.IsSame(m.ctx, m.base, m.theirs), m.form.Entered != nil && m.isBlank(c):
		c.Put(m.Merged, c.In(m.mine))
		m.applied = append(m.applied, c)
	case !c.IsSame(m.ctx, m.mine, m.theirs):
		m.Conflicts = append(m.Conflicts, Conflict{
			Field: strings.Join(c.EmbeddedBindNames, "."), Column: c.DBName,
			Base: c.Value(m.base), Mine: c.Value(m.mine), Theirs: c.Value(m.theirs),
		})
	}
}

// isBlank reports whether theirs has nothing to be seen in a column that base has no struct for. Once another column of the
// struct is set, GORM loads NULL as the zero value.
func (m *merge) isBlank(c value.Column) bool {
	is := c.In(m.theirs)
	return !c.In(m.base).IsValid() && is.IsValid() && is.IsZero()
}

// isApplied reports whether a column was taken from mine.
func (m *merge) isApplied(c value.Column) bool {
	return slices.ContainsFunc(m.applied, func(a value.Column) bool { return a.Field == c.Field })
}

// dropEmbedded makes embedded structs nil that mine made nil, if nothing of theirs is left in them.
func (m *merge) dropEmbedded(columns []value.Column) {
	for _, c := range m.applied {
		for i, index := range c.StructField.Index {
			path := c.StructField.Index[:i+1]
			if index >= 0 || isThere(m.mine, path) || !m.isCleared(columns, path) {
				continue
			}
			if owner, ok := value.At(m.Merged, path[:i]); ok {
				owner.Field(-index - 1).SetZero()
			}
			break
		}
	}
}

// isCleared reports whether every column of an embedded struct was taken from mine, or was NULL in theirs.
func (m *merge) isCleared(columns []value.Column, path []int) bool {
	for _, c := range columns {
		index := c.StructField.Index
		if len(index) < len(path) || !slices.Equal(index[:len(path)], path) {
			continue
		}
		if !m.isApplied(c) && value.AsSent(c.In(m.theirs)) != nil {
			return false
		}
	}
	return true
}

func isThere(model reflect.Value, path []int) bool {
	_, ok := value.At(model, path)
	return ok
}
