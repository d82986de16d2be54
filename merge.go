package occ

import (
	"fmt"
	"strings"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/merge"
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

	text string // of the version of theirs
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

// As serves package occhttp: it gives the version of Theirs as [VersionText] has it.
func (e *MergeConflictError) As(target any) bool {
	current, ok := target.(*conflict.Current)
	if ok {
		*current = conflict.Current(e.text)
	}
	return ok && e.text != ""
}

// Merge applies to theirs what turned base into mine, column by column, as git merges two branches. Base is the row as
// mine was loaded, theirs the row as it is now, from [Current]; in a model that embeds a [Snapshot], nil stands for what that
// holds. The three are only read, and no SQL is run.
//
// A column that both changed to different values is a conflict, and holds theirs in merged. If both changed it to the same
// value, there is no conflict. Times are compared as instants, NULL is not the zero value, JSON and decimal columns are
// compared by what they mean, fields with a serializer by what is stored. A soft delete is a change of its column.
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
	if base, err = merge.BaseOf(s, "Merge", base, mine); err != nil {
		return nil, nil, err
	}
	if err := s.CheckSides("Merge", base, mine, theirs); err != nil {
		return nil, nil, err
	}
	m := merge.MergeSides(s, base, mine, theirs)
	return m.Merged.Addr().Interface().(*T), fieldConflicts(m.Conflicts), nil
}

// fieldConflicts returns conflicts as users see them; nil where there are none.
func fieldConflicts(conflicts []merge.Conflict) (fields []FieldConflict) {
	for _, c := range conflicts {
		fields = append(fields, FieldConflict(c))
	}
	return fields
}

// subjectIn is SubjectOf for the plugin that db was given.
func subjectIn[T any](db *gorm.DB) (*merge.Subject, error) {
	e, err := engineOf(db)
	if err != nil {
		return nil, err
	}
	return merge.SubjectOf[T](e, db)
}
