package hot

import (
	"container/list"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxHotRows = 4096
	hotFor     = 2 * time.Second
)

// HotRows are the rows on which writes were refused a moment ago. Two rows of one hash count as one.
type HotRows struct {
	N     atomic.Int64
	mu    sync.Mutex
	rows  map[uint64]*list.Element // of order
	order list.List                // of hotRow: the row that is forgotten next comes first
}

type hotRow struct {
	hash  uint64
	until time.Time
}

var hotSeed = maphash.MakeSeed()

func HotHash(table, key string) uint64 {
	return maphash.Comparable(hotSeed, [2]string{table, key})
}

// Add remembers a row, or remembers it for longer. It leaves the row out where as many as can be are remembered already.
func (h *HotRows) Add(hash uint64, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget(now)
	row := hotRow{hash, now.Add(hotFor)}
	if known, ok := h.rows[hash]; ok {
		known.Value = row
		h.order.MoveToBack(known)
	} else if len(h.rows) < maxHotRows {
		if h.rows == nil {
			h.rows = map[uint64]*list.Element{}
		}
		h.rows[hash] = h.order.PushBack(row)
	}
	h.N.Store(int64(len(h.rows)))
}

// forget looks at the rows whose time is over, and at one more: each stays for as long as every other.
func (h *HotRows) forget(now time.Time) {
	for first := h.order.Front(); first != nil && first.Value.(hotRow).isOver(now); first = h.order.Front() {
		delete(h.rows, first.Value.(hotRow).hash)
		h.order.Remove(first)
	}
}

func (r hotRow) isOver(now time.Time) bool { return !now.Before(r.until) }

func (h *HotRows) Has(hash uint64, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	row, ok := h.rows[hash]
	return ok && !row.Value.(hotRow).isOver(now)
}

// Any reports whether there is a row at all.
func (h *HotRows) Any(now time.Time) bool {
	if h.N.Load() == 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget(now)
	h.N.Store(int64(len(h.rows)))
	return len(h.rows) > 0
}
