package occ

import (
	"context"
	"hash/maphash"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/conflict"
)

// WithAdaptiveLock has every attempt lock the rows on which this process was refused a moment ago, within the last 2
// seconds, as fc reads them: many writers of one row then wait for their turns from the first attempt on, and nobody waits
// for rows that are not contended. It needs no number to be found by trying, as [WithLockAfter] does, and may be combined
// with it.
//
// A row is known by its primary key: in First(&m, id), Where("id = ?", id), the key of the model that is read into, Preload,
// and their likes. A query that names several keys locks all of its rows if one of them is contended; queries by other
// conditions, and those that WithLockAfter leaves alone, lock nothing. On SQLite, such an attempt begins by taking the lock
// on the whole database while any row is contended. At most 4,096 rows are remembered, by 16 bytes each. In a cluster, the
// lock is one of the node that is written through.
func WithAdaptiveLock() RetryOption {
	return func(r *retry) { r.adapts = true }
}

const (
	maxHotRows = 4096
	hotFor     = 2 * time.Second
)

// hotRows are the rows on which writes were refused a moment ago. Two rows of one hash count as one.
type hotRows struct {
	n     atomic.Int64
	mu    sync.Mutex
	until map[uint64]time.Time
}

var hotSeed = maphash.MakeSeed()

func hotHash(table, key string) uint64 {
	return maphash.Comparable(hotSeed, [2]string{table, key})
}

func (h *hotRows) add(hash uint64, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.until == nil {
		h.until = map[uint64]time.Time{}
	}
	if len(h.until) >= maxHotRows {
		h.forget(now)
	}
	if len(h.until) < maxHotRows {
		h.until[hash] = now.Add(hotFor)
	}
	h.n.Store(int64(len(h.until)))
}

func (h *hotRows) forget(now time.Time) {
	for hash, until := range h.until {
		if until.Before(now) {
			delete(h.until, hash)
		}
	}
}

func (h *hotRows) has(hash uint64, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	until, ok := h.until[hash]
	return ok && now.Before(until)
}

// any tells whether there is a row at all.
func (h *hotRows) any(now time.Time) bool {
	if h.n.Load() == 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget(now)
	h.n.Store(int64(len(h.until)))
	return len(h.until) > 0
}

// heat remembers the rows of a refusal.
func (w *write) heat(refusal *conflict.Refusal) {
	now := time.Now()
	for _, stale := range refusal.Rows {
		key := make([]any, len(w.model.PrimaryFields))
		for i, field := range w.model.PrimaryFields {
			key[i] = stale.PrimaryKey[field.DBName]
		}
		if len(stale.PrimaryKey) > 0 && stale.Reason != conflict.ReasonDeleted && stale.Reason != conflict.ReasonMissing {
			w.plugin.hot.add(hotHash(w.stmt.Table, keyText(key)), now)
		}
	}
}

// readsHot tells a query that names a contended row by its primary key.
func (p *reader) readsHot(stmt *gorm.Statement) bool {
	if p.hot.n.Load() == 0 || stmt.Schema == nil || len(stmt.Schema.PrimaryFields) == 0 {
		return false
	}
	named := keysNamed{ctx: stmt.Context, schema: stmt.Schema, values: make([][]any, len(stmt.Schema.PrimaryFields))}
	if where, ok := stmt.Clauses["WHERE"].Expression.(clause.Where); ok {
		named.addAll(where.Exprs)
	}
	named.addModel(stmt.ReflectValue)
	now := time.Now()
	return named.anyKey(func(key []any) bool { return p.hot.has(hotHash(stmt.Table, keyText(key)), now) })
}

// keysNamed are the primary keys that conditions name, part by part.
type keysNamed struct {
	ctx    context.Context
	schema *schema.Schema
	values [][]any // by primary field
}

func (k *keysNamed) addAll(conditions []clause.Expression) {
	for _, condition := range conditions {
		switch c := condition.(type) {
		case clause.Eq:
			k.add(c.Column, c.Value)
		case clause.IN:
			k.add(c.Column, c.Values...)
		case clause.AndConditions:
			k.addAll(c.Exprs)
		case clause.Expr:
			if column, ok := equalsOne(c); ok {
				k.add(column, c.Vars[0])
			}
		}
	}
}

// equalsOne tells a condition that is no more than `column = ?`.
func equalsOne(expr clause.Expr) (column string, ok bool) {
	const equals = " = ?"
	text := unquoted.Replace(expr.SQL)
	if len(expr.Vars) != 1 || len(text) <= len(equals) || text[len(text)-len(equals):] != equals {
		return "", false
	}
	return text[:len(text)-len(equals)], true
}

func (k *keysNamed) add(column any, values ...any) {
	name, _ := column.(string)
	if c, ok := column.(clause.Column); ok {
		name = c.Name
	}
	for i, field := range k.schema.PrimaryFields {
		isIt := name == field.DBName || name == k.schema.Table+"."+field.DBName ||
			name == clause.PrimaryKey && field == k.schema.PrioritizedPrimaryField
		if isIt {
			k.values[i] = append(k.values[i], values...)
		}
	}
}

// addModel adds the key of the model that is read into, by which GORM looks for the row.
func (k *keysNamed) addModel(model reflect.Value) {
	if model.Kind() != reflect.Struct || model.Type() != k.schema.ModelType {
		return
	}
	for i, field := range k.schema.PrimaryFields {
		if value, isZero := field.ValueOf(k.ctx, model); !isZero {
			k.values[i] = append(k.values[i], value)
		}
	}
}

// anyKey tells whether is holds for one of the keys. Of a key of several parts, each has to be named once.
func (k *keysNamed) anyKey(is func(key []any) bool) bool {
	key := make([]any, len(k.values))
	for i, values := range k.values {
		if len(values) == 0 || len(values) > 1 && len(k.values) > 1 {
			return false
		}
		key[i] = k.asStored(i, values[0])
	}
	if len(key) > 1 {
		return is(key)
	}
	for _, value := range k.values[0] {
		if key[0] = k.asStored(0, value); is(key) {
			return true
		}
	}
	return false
}

// asStored is a value as the model's field holds it, so that 7 and "7" are one key.
func (k *keysNamed) asStored(part int, value any) any {
	model, field := reflect.New(k.schema.ModelType).Elem(), k.schema.PrimaryFields[part]
	if err := field.Set(k.ctx, model, value); err != nil {
		return value
	}
	stored, _ := field.ValueOf(k.ctx, model)
	return stored
}
