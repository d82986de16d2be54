package tx

import (
	"context"
	"reflect"
	"slices"

	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/value"
)

// A query in a transaction gives models the versions that the transaction itself has written. A rollback takes these versions
// away, and somebody else may write them anew, with other values. So models that were loaded are put back like those that were written.

// writtenKeys are the rows that a transaction has written.
type writtenKeys struct {
	to      int                        // the memories that are in keys
	keys    map[string]map[string]bool // by table
	unnamed map[string][]int           // by table: how many memories there were when conditions have named the rows
}

// NoteUnnamed notes a write of rows that no model in memory names.
func (j *Journal) NoteUnnamed(table string) {
	if j.wrote.unnamed == nil {
		j.wrote.unnamed = map[string][]int{}
	}
	if ats := j.wrote.unnamed[table]; len(ats) == 0 || ats[len(ats)-1] != len(j.Memories) {
		j.wrote.unnamed[table] = append(ats, len(j.Memories))
	}
}

// HasWrittenAny reports whether the transaction has written rows of models with a version.
func (j *Journal) HasWrittenAny() bool { return len(j.Memories) > 0 || len(j.wrote.unnamed) > 0 }

// hasWritten reports whether the transaction has written a row, as far as it is known.
func (j *Journal) hasWritten(table, key string) bool {
	w := &j.wrote
	if len(w.unnamed[table]) > 0 {
		return true
	}
	if w.to > len(j.Memories) {
		w.to, w.keys = 0, nil
	}
	for ; w.to < len(j.Memories); w.to++ {
		m := j.Memories[w.to]
		if m.IsLoaded {
			continue
		}
		if w.keys == nil {
			w.keys = map[string]map[string]bool{}
		}
		if w.keys[m.Field.Schema.Table] == nil {
			w.keys[m.Field.Schema.Table] = map[string]bool{}
		}
		w.keys[m.Field.Schema.Table][m.Key] = true
	}
	return w.keys[table][key]
}

// KeepLoaded remembers the version that a model had before its row was loaded, where the transaction has written that row.
func (j *Journal) KeepLoaded(ctx context.Context, field *kind.Field, model reflect.Value, before any) {
	table, key := field.Schema.Table, value.KeyOfModel(ctx, field.Schema, model)
	if key != "" && j.hasWritten(table, key) {
		j.Memories = append(j.Memories, Memory{Field: field, Model: model, Version: before, Key: key, IsLoaded: true})
	}
}

// takenAway returns the memories since mark that going back to it undoes: those of writes, and of loads whose row had been written
// since.
func (j *Journal) takenAway(mark int) (undone []Memory) {
	since := j.Memories[mark:]
	if !slices.ContainsFunc(since, func(m Memory) bool { return m.IsLoaded }) {
		return since
	}
	written := map[string]map[string]bool{}
	for i, m := range since {
		table := m.Field.Schema.Table
		if !m.IsLoaded {
			if written[table] == nil {
				written[table] = map[string]bool{}
			}
			written[table][m.Key] = true
		}
		if !m.IsLoaded || written[table][m.Key] || j.wrote.isUnnamed(table, mark, mark+i) {
			undone = append(undone, m)
		}
	}
	return undone
}

// forget takes out the writes since mark. One at mark itself may have been before it.
func (w *writtenKeys) forget(mark int) {
	for table, ats := range w.unnamed {
		w.unnamed[table] = slices.DeleteFunc(ats, func(at int) bool { return at > mark })
	}
}

// isUnnamed reports whether conditions have named rows of a table when there were at least from and at most to memories.
func (w *writtenKeys) isUnnamed(table string, from, to int) bool {
	ats := w.unnamed[table]
	first, _ := slices.BinarySearch(ats, from)
	return first < len(ats) && ats[first] <= to
}
