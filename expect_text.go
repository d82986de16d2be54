package occ

import (
	"fmt"

	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/intent"
)

// AnyVersion is the text for [ExpectText] that matches any version. A row that exists is written and takes its next version.
// One that does not exist is refused with [ReasonDeleted], never inserted. It is what `If-Match: *` means.
const AnyVersion = "*"

// ExpectText is [Expect] for versions as [VersionText] gave them: the row has to be at one of them. Texts are compared
// character by character, so 01, +1 and text that is not a version of the model's kind match no row: such a write is refused
// with a [*StaleDataError], as a stale one is, and nothing is written. No text at all, and nothing but "", is refused with an error
// that also matches [ErrVersionMissing].
//
// One version of a column costs no more than Expect: it is compared in the statement itself. Several versions, [AnyVersion]
// and the digest of a [Snapshot] read the row first, under a lock where the database has one, in the same transaction. On a
// slice, every row has to be at one of the versions. The Expected of a [StaleRow] is the version, or the texts as a []string
// where there are several, or one that is not a version of the kind.
func ExpectText(versions ...string) clause.Expression { return intent.TextsOf(versions) }

// errNoText is why a write with ExpectText is refused that was given no version at all.
var errNoText = fmt.Errorf("%w: ExpectText was given no version", ErrVersionMissing)
