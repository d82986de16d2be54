package intent

import (
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/kind"
)

// TextsOf returns the switch for versions as text.
func TextsOf(versions []string) Texts {
	texts := Texts{set: make(map[string]bool, len(versions))}
	for _, version := range versions {
		if version == "" || texts.set[version] {
			continue
		}
		texts.set[version] = true
		texts.Versions = append(texts.Versions, version)
	}
	texts.any = texts.set[kind.AnyVersion]
	return texts
}

// Texts is the switch of a statement that is given versions as text.
type Texts struct {
	Versions []string        // without "", each once
	set      map[string]bool // of Versions: a client sends as many as it likes
	any      bool            // AnyVersion is among them
}

func (e Texts) ModifyStatement(stmt *gorm.Statement) { setExpected(stmt, e) }

// Build writes nothing: the statement that finds the switch acts on it.
func (Texts) Build(clause.Builder) {}

// One is the version that the texts are, where they are one that a column can be compared with.
func (e Texts) One(version *kind.Field) (any, bool) {
	if len(e.Versions) != 1 || e.any || version.PutImage != nil {
		return nil, false
	}
	return version.FromText(e.Versions[0])
}

// Expected is what a refusal says of the texts.
func (e Texts) Expected(version *kind.Field) any {
	if one, ok := e.One(version); ok {
		return one
	}
	return slices.Clone(e.Versions)
}

// Holds reports whether a version is among the texts.
func (e Texts) Holds(version *kind.Field, stored any) bool {
	return e.any || e.set[version.TextIfAny(stored)]
}
