package tx

import (
	"gorm.io/gorm/schema"
)

// A graph of associations can hold one row several times: a parent that was loaded with each of its children, a root that
// its parts point back to. The row counts once in a call. The model that is written first is compared. The others count as
// written with it if they are at the version that it was at, and then have its version afterwards.

// RowID is a row of a table, whatever model holds it.
type RowID struct {
	Schema *schema.Schema
	Key    string
}

// written finds the models that the call under way has written by their rows. It is built from the journal's memories.
type written struct {
	from, to int // the memories that are in rows
	rows     map[RowID][]Memory
}

// WrittenRows are the rows that the call under way has written.
func (j *Journal) WrittenRows() map[RowID][]Memory {
	if j.Calls == 0 {
		return nil
	}
	if w := &j.rows; w.rows == nil || w.from != j.Began || w.to > len(j.Memories) {
		*w = written{from: j.Began, to: j.Began, rows: map[RowID][]Memory{}}
	}
	for ; j.rows.to < len(j.Memories); j.rows.to++ {
		if m := j.Memories[j.rows.to]; m.Field.PutImage == nil && m.Key != "" && !m.IsLoaded {
			id := RowID{m.Field.Schema, m.Key}
			j.rows.rows[id] = append(j.rows.rows[id], m)
		}
	}
	return j.rows.rows
}
