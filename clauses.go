package occ

import (
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/intent"
)

// Expect has a write compare with version instead of the model's own, for example with the version that a client sent back.
// It is for db.Clauses(...) and gorm.G[T](db, ...). It applies to that write alone, not to associations saved with it; on a
// slice it is the version of every row. Version may be of any type that the version field can hold without
// loss; nil or another type fails the write with an error that names model and field, before anything is sent.
// With Expect a write needs no primary key in the model: `Where("id = ?", id)` does, and 0 rows are then a refusal. A write
// of unversioned columns alone is compared too, and leaves the version as it is.
//
// On a First, Take, Last or Find into one model the row has to be at that version, else the error is a [*StaleDataError] of
// [OpRead]; the model then holds the row as it is. Several rows, Scan, Count, Pluck, Row and Rows, and a query without the
// version are errors, since no version can be compared there.
//
// On a model without a version, on a table of which no model is known, on a Create that updates no row, where the plugin is
// not registered, and together with [Unchecked], it is an error.
func Expect(version any) clause.Expression { return intent.Expect{Version: version} }

// Unchecked turns the comparison off for one write, which then overwrites whatever the row holds. The write still writes the
// next version, so that others notice, and the model holds it afterwards. Like [Expect] it applies to one write.
func Unchecked() clause.Expression { return intent.Unchecked{} }
