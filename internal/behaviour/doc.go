// Package behaviour has what the tests of behaviours share: models, rows that are stale, the databases to run on, and what
// is checked again and again. The tests of the root package, which document the public names, use it too.
//
// The tests are in three packages, which are compiled and run beside each other; whoever changes a file compiles a third:
//
//   - this folder: write_* by GORM's writing calls, slice_* of several rows, graph_* with associations, snapshot_* of models
//     without a version column, tx_* transactions and concurrent sessions, gorm_* how the plugin and GORM live together;
//   - kinds: kind_* by kind of version and the column that it is stored in, fuzz_* fuzzing of them;
//   - faults: fault_* a fault at each point of each write path.
package behaviour
