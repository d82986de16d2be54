package occ

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
)

// FieldConflict is a column that both sides of a merge changed, to different values. The values are as the model's field
// holds them, or nil for a column of an embedded struct that is a nil pointer.
type FieldConflict struct {
	Field  string // as in Go: Place, Address.City
	Column string
	Base   any
	Mine   any
	Theirs any
}

// MergeConflictError is the [ErrMergeConflict] of one [Rebase]: what has to be decided before it can be saved. Nothing was
// written, and the model is what it was.
type MergeConflictError struct {
	Table      string
	PrimaryKey map[string]any  // column name to value
	Fields     []FieldConflict // in the order of the model's fields; there is at least one
	Theirs     any             // the row as it is stored, a pointer to the model's type
}

// Error is one line for a log: table, key and the fields in conflict. It holds no row contents.
func (e *MergeConflictError) Error() string {
	names := make([]string, len(e.Fields))
	for i, conflict := range e.Fields {
		names[i] = conflict.Field
	}
	return fmt.Sprintf("%v: %q row %s: both sides changed %s", ErrMergeConflict, e.Table, formatKey(e.PrimaryKey), strings.Join(names, ", "))
}

// Is matches [ErrMergeConflict] and [ErrStaleData].
func (e *MergeConflictError) Is(target error) bool {
	return target == ErrMergeConflict || target == ErrStaleData
}

// Merge applies to theirs what turned base into mine, column by column, as git merges two branches. Base is the row as
// mine was loaded, theirs the row as it is now, from [Current]; in a model that embeds a [Snapshot], nil stands for what that
// holds. The three are only read, and no SQL is run.
//
// A column that both changed to different values is a conflict, and holds theirs in merged. Both having changed it to the
// same value is none: times are compared as instants, NULL is not the zero value, JSON and decimal columns are compared by
// what they mean, fields with a serializer by what is stored. A soft delete is a change of its column.
//
// Everything else in merged is theirs: primary keys, the version, automatic timestamps, columns that GORM does not update
// or that are tagged `gorm:"unversioned"`, associations and fields that are not stored. So merged can be saved, and is then
// compared with the version of theirs. Values of its columns are copies; only what a type keeps in unexported fields is
// shared with theirs or mine.
//
// A nil model is an error, and so are models with different primary keys, and a base that is newer than mine, since what
// others changed in between would be undone as if mine had changed it back.
func Merge[T any](db *gorm.DB, base, mine, theirs *T) (merged *T, conflicts []FieldConflict, err error) {
	s, err := subjectIn[T](db)
	if err != nil {
		return nil, nil, err
	}
	if base, err = baseOf(s, "Merge", base, mine); err != nil {
		return nil, nil, err
	}
	if err := s.checkSides("Merge", base, mine, theirs); err != nil {
		return nil, nil, err
	}
	m := mergeSides(s, base, mine, theirs)
	return m.merged.Addr().Interface().(*T), fieldConflicts(m.conflicts), nil
}

// fieldConflicts returns conflicts as users see them; nil where there are none.
func fieldConflicts(conflicts []conflictingField) (fields []FieldConflict) {
	for _, c := range conflicts {
		fields = append(fields, FieldConflict(c))
	}
	return fields
}

// subjectIn is subjectOf for the plugin that db was given.
func subjectIn[T any](db *gorm.DB) (*subject, error) {
	e, err := engineOf(db)
	if err != nil {
		return nil, err
	}
	return subjectOf[T](e, db)
}

// checkSides refuses models that are not three states of one row.
func (s *subject) checkSides(caller string, base, mine, theirs any) error {
	names := [...]string{"base", "mine", "theirs"}
	sides := [...]reflect.Value{reflect.ValueOf(base).Elem(), reflect.ValueOf(mine).Elem(), reflect.ValueOf(theirs).Elem()}
	for i, side := range sides {
		if !side.IsValid() {
			return s.nilError(caller, names[i])
		}
	}
	for _, field := range s.model.PrimaryFields {
		for i, side := range sides {
			if !(column{field}).isSame(s.ctx, sides[1], side) {
				return fmt.Errorf("occ: %s of model %s: mine and %s have different primary keys: they are not the same row: %w", caller, s.model.Name, names[i], gorm.ErrInvalidValue)
			}
		}
	}
	return s.checkBase(caller, sides[0], sides[1])
}

func (s *subject) checkBase(caller string, base, mine reflect.Value) error {
	version := s.model.version
	if version == nil {
		return nil
	}
	of, kind := version.of(s.ctx, base), version.kind
	if own := version.of(s.ctx, mine); !kind.isZero(of) && !kind.isZero(own) && kind.isAhead(of, own) {
		return fmt.Errorf("occ: %s of model %s: base, at version %s, is newer than mine, at %s: it has to be what mine was loaded as: %w",
			caller, s.model.Name, formatVersion(of), formatVersion(own), gorm.ErrInvalidValue)
	}
	return nil
}

// merge is a merge on its way.
type merge struct {
	ctx                context.Context
	base, mine, theirs reflect.Value
	merged             reflect.Value
	applied            []column // what mine changed
	conflicts          []conflictingField
}

// conflictingField is a column that both sides changed to different values.
type conflictingField struct {
	Field, Column      string
	Base, Mine, Theirs any
}

// mergeSides merges pointers to three models.
func mergeSides(s *subject, base, mine, theirs any) *merge {
	m := &merge{ctx: s.ctx, base: reflect.ValueOf(base).Elem(), mine: reflect.ValueOf(mine).Elem(), theirs: reflect.ValueOf(theirs).Elem()}
	m.merged = reflect.New(s.model.ModelType).Elem()
	m.merged.Set(m.theirs)
	columns := s.model.columns()
	for _, c := range columns {
		c.detach(m.merged, m.theirs)
	}
	for _, c := range columns {
		if s.model.isMerged(c) {
			m.add(c)
		}
	}
	m.dropEmbedded(columns)
	return m
}

// columns are the fields of the model that are stored, in order.
func (m *model) columns() []column {
	columns := make([]column, 0, len(m.DBNames))
	for _, name := range m.DBNames {
		columns = append(columns, column{m.FieldsByDBName[name]})
	}
	return columns
}

// isMerged tells a column that a merge may take from mine.
func (m *model) isMerged(c column) bool {
	isVersion := m.version != nil && c.Field == m.version.Field
	return c.Updatable && !c.PrimaryKey && !isVersion && !isUnversioned(c.Field) && c.AutoCreateTime == 0 && c.AutoUpdateTime == 0
}

func (m *merge) add(c column) {
	switch {
	case c.isSame(m.ctx, m.base, m.mine):
	case c.isSame(m.ctx, m.base, m.theirs):
		c.put(m.merged, c.in(m.mine))
		m.applied = append(m.applied, c)
	case !c.isSame(m.ctx, m.mine, m.theirs):
		m.conflicts = append(m.conflicts, conflictingField{
			Field: strings.Join(c.EmbeddedBindNames, "."), Column: c.DBName,
			Base: c.value(m.base), Mine: c.value(m.mine), Theirs: c.value(m.theirs),
		})
	}
}

// detach gives merged a value of its own for a column that it was given by assignment, with the embedded structs on the
// way to it.
func (c column) detach(merged, theirs reflect.Value) {
	for _, i := range c.StructField.Index {
		if i >= 0 {
			merged, theirs = merged.Field(i), theirs.Field(i)
			continue
		}
		merged, theirs = merged.Field(-i-1), theirs.Field(-i-1)
		if theirs.IsNil() {
			return
		}
		if merged.Pointer() == theirs.Pointer() {
			own := reflect.New(theirs.Type().Elem())
			own.Elem().Set(theirs.Elem())
			merged.Set(own)
		}
		merged, theirs = merged.Elem(), theirs.Elem()
	}
	merged.Set(clone(theirs))
}

// put sets the column to a copy of value. A value that is not valid is NULL.
func (c column) put(model, value reflect.Value) {
	field := c.ReflectValueOf(context.Background(), model)
	if value.IsValid() {
		field.Set(clone(value))
		return
	}
	field.SetZero()
}

// dropEmbedded makes embedded structs nil that mine made nil, if nothing of theirs is left in them.
func (m *merge) dropEmbedded(columns []column) {
	for _, c := range m.applied {
		for i, index := range c.StructField.Index {
			path := c.StructField.Index[:i+1]
			if index >= 0 || isThere(m.mine, path) || !m.isCleared(columns, path) {
				continue
			}
			if owner, ok := at(m.merged, path[:i]); ok {
				owner.Field(-index - 1).SetZero()
			}
			break
		}
	}
}

// isCleared tells whether every column of an embedded struct was taken from mine, or was NULL in theirs.
func (m *merge) isCleared(columns []column, path []int) bool {
	for _, c := range columns {
		index := c.StructField.Index
		if len(index) < len(path) || !slices.Equal(index[:len(path)], path) {
			continue
		}
		isApplied := slices.ContainsFunc(m.applied, func(a column) bool { return a.Field == c.Field })
		if !isApplied && asSent(c.in(m.theirs)) != nil {
			return false
		}
	}
	return true
}

func isThere(model reflect.Value, path []int) bool {
	_, ok := at(model, path)
	return ok
}
