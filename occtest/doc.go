// Package occtest lets an application prove that its own code loses no update.
//
//	func TestRenameRefusesStale(t *testing.T) {
//		db := open(t)
//		p := create(t, db)
//		occtest.RefusesStale[Product](t, db, p.ID, func(ctx context.Context) error {
//			return products.Rename(ctx, p.ID, "mine")
//		})
//	}
//
// The other writer comes right before the next write of the row, each time: no sleeps, no goroutines, one connection
// suffices. It comes before GORM begins the transaction of the write. Inside a transaction of the caller it goes
// through that transaction, since a second connection could wait for its locks for ever; the change is then undone
// with it.
//
// A key is the value of the primary key, or a map[string]any of column names to values where it has several columns.
//
// Callbacks are registered with the gorm.DB of a test until the test ends. GORM's callbacks belong to all sessions of one
// gorm.Open and are not safe for concurrent registration: a test that runs parallel to others opens a gorm.DB of its
// own. Two tests that use one at the same time are an error of the second.
package occtest
