// Package write compares versions and writes the next ones: it is what stands between GORM's callbacks and the database.
//
// A [Call] is one Create, Update or Delete of GORM's, from the plugin's first callback to its last. engine.go registers the
// callbacks; life.go has the first and the last, open and close; abort.gen.go and life.go end a call that panics. Between them
// a call goes through these steps:
//
//  1. intent.go finds out which version is expected (Expect, a version in the payload, or the model's own), and what is set;
//  2. hand.go collects the rows in hand: models, keys, expected and next versions;
//  3. one file for each of GORM's ways says what is to be sent: update.go, delete.go, create.go, insert.go, upsert.go and locked.go,
//     slice.go (Save of a slice), link.go (children that associations link), touch.go (the version alone), found.go (by condition),
//     texts.go (versions as text);
//  4. one.go sends the statement of one row, many.go those of several rows, as a whole or not at all (unit.go); stmt.go gives GORM
//     the WHERE and the SET; lean.go decides whether GORM's default transaction is needed;
//  5. compare.go says what a row is compared with: its version, or the columns of its Snapshot;
//  6. refuse.go finds out why fewer rows were written than there are, and makes the refusal; learn.go and memory.go give the models
//     the versions that their rows have now, and remember the former ones in case of a rollback;
//  7. graph.go keeps several models of one row together where associations are saved with their owner; parents.go locks parents.
//
// The way of an update: open, guardUpdate, identify, assignments, writeCompared, run, check, close. One statement is sent; only
// where it wrote no row is the row read, by Refuse.
//
// The way of a slice: open (with a unit), guardUpdate or createAs, writeSeveral, sendTogether, settleShort where rows are missing,
// advanceAll, close. One statement is sent for the batch, or one for each part of it that the dialect can take.
//
// The way of an upsert: open, guardCreate, createAs, then upsert.go. New models go to the database's ON CONFLICT; loaded ones are
// found by the conflict target under a lock, compared, and sent by the caller's own statement (locked.go).
package write
