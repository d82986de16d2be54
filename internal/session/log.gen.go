package session

// Nothing here is generated: a logger does not take a file of this name for the one that has sent a statement. See
// utils.CallerFrame in gorm.io/gorm.

import "time"

// Flush logs the statements that were kept.
func (l *Log) Flush() {
	if len(l.entries) == 0 {
		return
	}
	entries := l.entries
	l.entries = nil
	for _, e := range entries {
		l.Interface.Trace(e.ctx, time.Now().Add(-e.took), func() (string, int64) { return l.show(e) }, e.err)
	}
}
