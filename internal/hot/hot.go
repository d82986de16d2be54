package hot

import (
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
	until map[uint64]time.Time
}

var hotSeed = maphash.MakeSeed()

func HotHash(table, key string) uint64 {
	return maphash.Comparable(hotSeed, [2]string{table, key})
}

func (h *HotRows) Add(hash uint64, now time.Time) {
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
	h.N.Store(int64(len(h.until)))
}

func (h *HotRows) forget(now time.Time) {
	for hash, until := range h.until {
		if until.Before(now) {
			delete(h.until, hash)
		}
	}
}

func (h *HotRows) Has(hash uint64, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	until, ok := h.until[hash]
	return ok && now.Before(until)
}

// Any reports whether there is a row at all.
func (h *HotRows) Any(now time.Time) bool {
	if h.N.Load() == 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget(now)
	h.N.Store(int64(len(h.until)))
	return len(h.until) > 0
}
