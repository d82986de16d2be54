package occ

import (
	"fmt"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
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
func ExpectText(versions ...string) clause.Expression { return textsOf(versions) }

// textsOf returns the switch for versions as text.
func textsOf(versions []string) expectText {
	texts := expectText{}
	for _, version := range versions {
		if version == anyVersion {
			texts.any = true
		}
		if version != "" && !slices.Contains(texts.versions, version) {
			texts.versions = append(texts.versions, version)
		}
	}
	return texts
}

// expectText is the switch of a statement that is given versions as text.
type expectText struct {
	versions []string // without "", each once
	any      bool     // AnyVersion is among them
}

func (e expectText) ModifyStatement(stmt *gorm.Statement) { setExpected(stmt, e) }

// Build writes nothing: the statement that finds the switch acts on it.
func (expectText) Build(clause.Builder) {}

// one is the version that the texts are, where they are one that a column can be compared with.
func (e expectText) one(version *versionField) (any, bool) {
	if len(e.versions) != 1 || e.any || version.putImage != nil {
		return nil, false
	}
	return version.fromText(e.versions[0])
}

// expected is what a refusal says of the texts.
func (e expectText) expected(version *versionField) any {
	if one, ok := e.one(version); ok {
		return one
	}
	return slices.Clone(e.versions)
}

// errNoText is why a write with ExpectText is refused that was given no version at all.
var errNoText = fmt.Errorf("%w: ExpectText was given no version", ErrVersionMissing)

// holds reports whether a version is among the texts.
func (e expectText) holds(version *versionField, stored any) bool {
	return e.any || version.isAtText(stored, e.versions)
}
