package tx

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/value"
)

// A query in a transaction gives models the versions that the transaction itself has written. A rollback takes these versions
// away, and somebody else may write them anew, with other values. So models that were loaded are put back like those that were written.

// writtenKeys are the rows that a transaction has written, and maybe some that it has rolled back to a savepoint since.
type writtenKeys struct {
	to      int             // the memories that are in the others
	rows    map[string]bool // by table and key
	unnamed map[string]bool // the tables in which conditions have named the rows
}

// add adds what a memory says to have been written.
func (w *writtenKeys) add(m Memory) {
	if w.rows == nil {
		w.rows, w.unnamed = map[string]bool{}, map[string]bool{}
	}
	switch {
	case m.IsUnnamed:
		w.unnamed[m.Field.Schema.Table] = true
	case !m.IsLoaded:
		w.rows[m.row()] = true
	}
}

// has reports whether the row of a memory was written, as far as it is known.
func (w *writtenKeys) has(m Memory) bool { return w.unnamed[m.Field.Schema.Table] || w.rows[m.row()] }

// row is a text for the row of a memory. Some databases find a key whatever its letters are.
func (m Memory) row() string { return m.Field.Schema.Table + " " + strings.ToLower(m.Key) }

// NoteUnnamed notes a write of rows that no model in memory names; the field is that of their version.
func (j *Journal) NoteUnnamed(field *kind.Field) {
	j.Memories = append(j.Memories, Memory{Field: field, IsUnnamed: true})
}

// KeepLoaded remembers the version that a model had before its row was loaded, where the transaction has written that row.
func (j *Journal) KeepLoaded(ctx context.Context, field *kind.Field, model reflect.Value, before any) {
	m := Memory{Field: field, Model: model, Version: before, Key: value.KeyOfModel(ctx, field.Schema, model), IsLoaded: true}
	for ; j.wrote.to < len(j.Memories); j.wrote.to++ {
		j.wrote.add(j.Memories[j.wrote.to])
	}
	if m.Key != "" && j.wrote.has(m) {
		j.Memories = append(j.Memories, m)
	}
}

// takenAway divides the memories since mark by what going back to it does: it undoes writes, and takes away the versions of loads
// whose row had been written since. Those of other loads are kept: a rollback of more may take them away.
func (j *Journal) takenAway(mark int) (undone, kept []Memory) {
	since := j.Memories[mark:]
	if !slices.ContainsFunc(since, func(m Memory) bool { return m.IsLoaded }) {
		return since, nil
	}
	var written writtenKeys
	for _, m := range since {
		written.add(m)
		if m.IsLoaded && !written.has(m) {
			kept = append(kept, m)
		} else {
			undone = append(undone, m)
		}
	}
	return undone, kept
}
