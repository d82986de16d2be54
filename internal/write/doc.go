// Package write compares versions and writes the next ones: it is what stands between GORM's callbacks and the database.
//
// A [Call] is one Create, Update or Delete of GORM's, from the plugin's first callback to its last. It is a pipeline of values: each
// phase takes what the one before has returned.
//
//	phase    from -> to                                                         file
//	open     the statement -> a Call                                            life.go
//	intent   the statement -> the expected version, what is set, whether it     intent.go
//	         changes the row in the sense of its version
//	hand     the models -> rows with keys, expected and next versions           hand.go, graph.go
//	plan     rows -> a plan: how they are found and what they are compared      plan.go, compare.go
//	         with, by one planner for each of GORM's ways
//	execute  a statement -> rows affected and error                             execute in call.go
//	settle   a short or failed plan -> the rows written, or the refusal         one.go, many.go, refuse.go
//	learn    what was written -> versions in memory, remembered in one ledger   learn.go, memory.go
//	close    rows affected and error -> db.Error, RowsAffected, the result      finish in call.go, life.go
//
// The planners: update.go, delete.go, create.go with insert.go, skipping.go (DO NOTHING) and create_batches.go, upsert.go with locked.go and
// upsert_payloads.go, slice.go (Save of a slice), link.go (children that associations link), found.go (rows found by conditions), texts.go
// (versions as text), touch.go (the version alone) and parents.go (the parents of touching children). Statements of several rows are built by
// batch_update.go and batch_delete.go; stmt.go gives GORM the WHERE and the SET of one row; lean.go decides whether GORM's default
// transaction is needed; engine.go registers the callbacks; abort.gen.go ends a call that panics, and logs what the plugin has sent itself.
//
// No phase reads what another has left in db.Error or RowsAffected: execute takes them off db, finish sets them once. A comparison is by
// version or by snapshot, and brings its own way to write one row and several. Rows are read by internal/rows alone; what is written as a whole
// or not at all is a unit of internal/tx.
//
// The way of an update: open; guardUpdate runs Call.update, which plans (planFor), converts the payload (assignments) and calls
// writeCompared; byVersion.writeOne sends one statement (run, execute) and settles it. Only where it wrote no row is the row read, by
// settleUnwritten. finish and close end it.
//
// The way of a slice: open, with a unit; updateSeveral or saveSlice, then writeSeveral: byVersion.writeSeveral sends the batch as a whole
// (sendTogether), and where rows are missing settleShort finds out which; written gives the models their versions. One statement is sent for the
// batch, or one for each part of it that the dialect can take. at_once.go has PostgreSQL count the rows in the statement that writes them,
// which needs no savepoint.
//
// The way of an upsert: open; guardCreate, createAs, then upsert. New models go to the database's ON CONFLICT (overwrite). Loaded ones are one
// UPDATE by their keys where that means the same, else they are found by the conflict target under a lock, compared, and sent by the caller's own
// statement (overwriteLocked).
package write
