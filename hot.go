package occ

// WithAdaptiveLock has every attempt lock those rows, as fc reads them, on which this process was refused within the last 2
// seconds. Many writers of one row then wait for each other from the first attempt on, and nobody waits for rows that are not
// contended. Unlike [WithLockAfter] it needs no number to be found by trying. The two may be combined.
//
// A row is known by its primary key: in First(&m, id), Where("id = ?", id), the key of the model that is read into, Preload,
// and their likes. A query that names several keys locks all of its rows if one of them is contended; queries by other
// conditions, and those that WithLockAfter leaves alone, lock nothing. On SQLite, such an attempt begins by taking the lock
// on the whole database while any row is contended. At most 4,096 rows are remembered, by 16 bytes each. In a cluster, the
// lock is one of the node that is written through.
func WithAdaptiveLock() RetryOption {
	return func(r *retry) { r.adapts = true }
}
