package model

import (
	"hash/maphash"
	"slices"
	"sync"
)

// maxTexts is how many statements of a model are kept: an application writes a few sets of columns.
const maxTexts = 64

// Texts keeps the SQL of plain statements, by what their text depends on. It is safe for concurrent use.
type Texts struct {
	mu    sync.RWMutex
	texts map[TextKey]text
}

// TextKey is what the text of a statement depends on, but for the columns, of which it has a hash.
type TextKey struct {
	Table      string
	IsUnscoped bool
	IsDelete   bool
	columns    uint64
}

type text struct {
	columns []string
	sql     string
}

var seed = maphash.MakeSeed()

func (k *TextKey) add(columns []string) {
	for _, column := range columns {
		k.columns = k.columns*31 + maphash.String(seed, column)
	}
}

// Of returns the text of a statement that sets columns; it is "" where none is kept.
func (t *Texts) Of(key TextKey, columns []string) string {
	key.add(columns)
	t.mu.RLock()
	found := t.texts[key]
	t.mu.RUnlock()
	if !slices.Equal(found.columns, columns) {
		return ""
	}
	return found.sql
}

// Keep keeps the text of a statement. What is beyond the limit is not kept.
func (t *Texts) Keep(key TextKey, columns []string, sql string) {
	key.add(columns)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.texts) >= maxTexts {
		return
	}
	if t.texts == nil {
		t.texts = map[TextKey]text{}
	}
	t.texts[key] = text{slices.Clone(columns), sql}
}
