package occ

import (
	"fmt"

	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/intent"
)

// AnyVersion is the text for [ExpectText] that stands for whichever version the row has: a row that is there is written and
// takes its next version; one that is gone is refused with [ReasonDeleted], never inserted. It is what `If-Match: *` says.
const AnyVersion = "*"

// ExpectText is [Expect] for versions as [VersionText] gave them: the row has to be at one of them. Texts are compared
// character by character, so 01, +1 and what is no version of the model's kind are at no row: such a write is refused with a
// [*StaleDataError], as a stale one is, and nothing is written. No text at all, and nothing but "", is refused with an error
// that also matches [ErrVersionMissing].
//
// One version of a column costs no more than Expect: it is compared in the statement itself. Several versions, [AnyVersion]
// and the digest of a [Snapshot] read the row first, under a lock where the database has one, in the same transaction. On a
// slice, every row has to be at one of the versions. The Expected of a [StaleRow] is the version, or the texts as a []string
// where they are several or no version of the kind.
func ExpectText(versions ...string) clause.Expression { return intent.TextsOf(versions) }

// errNoText is why a write with ExpectText is refused that was given no version at all.
var errNoText = fmt.Errorf("%w: ExpectText was given no version", ErrVersionMissing)
