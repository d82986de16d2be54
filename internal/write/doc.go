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
// A call has what all of its ways need: the [rows.Site] of its statement, its switches, its unit and what it remembers. What one way needs
// is a type of that way's file, which holds the call or the site and the state of the way:
//
//	update.go, delete.go     an UPDATE or DELETE: plan
//	create.go                an INSERT: creation chooses what it is for
//	insert.go, numbering.go  new rows: newVersions and numbering give versions, databaseInsert leaves them to the database,
//	version_column.go        versionColumn and unversioned decide what the INSERT holds
//	skipping.go              DO NOTHING: doNothing
//	create_batches.go        CreateInBatches: batchCall
//	upsert.go                DO UPDATE: upsert; its statement: upsertStatement
//	upsert_statement.go
//	locked.go                where its rows are locked first: lockedUpsert
//	upsert_payloads.go       of maps and structs of other types: payload
//	slice.go                 Save of a slice: savedSlice
//	link.go                  children that associations link: link
//	found.go                 rows found by conditions: plan
//	modifiers.go             words of the caller's behind INSERT, UPDATE and DELETE
//	texts.go                 versions as text: choice
//	touch.go                 the version alone: table
//	children.go, parents.go  the parents of touching children: childWrite, parents
//	graph.go, recreate.go    further models of one row: copies; models of deleted rows: deletedModels
//
// Statements of several rows are built by batch_update.go and batch_delete.go. stmt.go gives GORM the WHERE and the SET of one row. lean.go
// decides whether GORM's default transaction is needed. engine.go registers the callbacks. abort.gen.go ends a call that panics, and logs
// what the plugin has sent itself.
//
// No phase reads what another has left in db.Error or RowsAffected: execute takes them off db, finish sets them once. A comparison is by
// version or by snapshot, and brings its own way to write one row and several. Rows are read by internal/rows alone; what is written as a whole
// or not at all is a unit of internal/tx.
//
// The way of an update: open, then guardUpdate runs Call.update. It plans (planFor), converts the payload (assignments) and calls
// writeCompared. byVersion.writeOne sends one statement (run, execute) and settles it. Only where it wrote no row is the row read, by
// settleUnwritten. finish and close end it.
//
// The way of a slice: open, with a unit; updateSeveral or saveSlice, then writeSeveral. byVersion.writeSeveral sends the batch as a whole
// (sendTogether). Where rows are missing, settleShort finds out which. written gives the models their versions. One statement is sent for the
// batch, or one for each part of it that the dialect can take. again.go does without a savepoint in a transaction that the
// plugin has begun for the call itself. at_once.go has PostgreSQL count the rows in the statement that writes them, which needs none either.
//
// The way of an upsert: open; guardCreate, creation.run, then upsert. New models go to the database's ON CONFLICT (overwrite). Loaded ones are
// one UPDATE by their keys where that means the same. Else they are found by the conflict target under a lock, compared, and sent by the
// caller's own statement (overwriteLocked).
package write
