package workload

import (
	"context"
	"sync/atomic"
)

// slot is a row that all sessions write. A row that is not written any more is followed by another one.
type slot struct {
	register
	current   atomic.Uint64
	comesBack bool // the row is deleted and created again; otherwise it is there to count writes
}

// id is the row's; 0 where there is none at the moment.
func (s *slot) id() uint { return uint(s.current.Load()) }

// newSlots replaces all rows.
func (w *Workload) newSlots(ctx context.Context) {
	w.byRow.Clear()
	w.slots = nil
	for _, r := range w.registers {
		for i := range w.Slots {
			slot := &slot{register: r, comesBack: i%2 == 1}
			w.slots = append(w.slots, slot)
			w.fill(ctx, slot)
		}
	}
}

// fill gives a slot a new row.
func (w *Workload) fill(ctx context.Context, slot *slot) {
	s := &session{Workload: w, id: w.Sessions, held: map[string]any{}}
	id := w.ids.Add(1)
	w.byRow.Store(slot.about().row(id), slot)
	if err := slot.create(s.alone(w.db.WithContext(ctx)), uint(id)); err == nil {
		slot.current.Store(id)
	}
}

// retire has sessions leave a row alone.
func (w *Workload) retire(row string) {
	slot := w.slotOf(row)
	if id := slot.current.Load(); id != 0 && slot.about().row(id) == row {
		slot.current.CompareAndSwap(id, 0)
	}
}

func (w *Workload) slotOf(row string) *slot {
	found, _ := w.byRow.Load(row)
	return found.(*slot)
}

func (w *Workload) comesBack(row string) bool { return w.slotOf(row).comesBack }
