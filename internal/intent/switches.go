package intent

import (
	"errors"
	"fmt"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/registration"
)

type (
	Expect struct {
		Version any
		Loaded  bool // the version is a row's, as the field's type holds it: a nil pointer is NULL
	}
	Unchecked struct{}
)

// The switches travel in the statement's clauses: unlike settings, these do not leak into association saves.
const (
	ExpectClause    = "occ:expect"
	UncheckedClause = "occ:unchecked"
)

func (e Expect) ModifyStatement(stmt *gorm.Statement) { setExpected(stmt, e) }

// setExpected leaves the versions that a statement is given where it finds them. The last of several counts.
func setExpected(stmt *gorm.Statement, expected clause.Expression) {
	registration.RegisteredFor(stmt, "Expect")
	stmt.Clauses[ExpectClause] = clause.Clause{Expression: expected}
}

func (u Unchecked) ModifyStatement(stmt *gorm.Statement) {
	registration.RegisteredFor(stmt, "Unchecked")
	stmt.Clauses[UncheckedClause] = clause.Clause{Expression: u}
}

// Build writes nothing: the write that finds the switch acts on it.
func (Expect) Build(clause.Builder) {}

// Build writes nothing: the write that finds the switch acts on it.
func (Unchecked) Build(clause.Builder) {}

var errExpectUnchecked = errors.New("occ: Expect and Unchecked contradict each other: give the write one of them")

// Switches are the per-call clauses of a statement.
type Switches struct {
	expected  any
	loaded    bool // the expected version is a row's
	Expects   bool
	Texts     *Texts // what ExpectText was given, in the place of expected
	Unchecked bool
	Touch     *Touch // the write is one of the version alone
}

// Fit reports as an error that a model has nothing to compare the expected version with. A Snapshot has its digest alone.
func (s Switches) Fit(m *model.Model) error {
	if s.Expects && (m.Version == nil || m.Compares() != nil && s.Texts == nil) {
		return fmt.Errorf("occ: model %s has no version that Expect could be compared with", m.Name)
	}
	return nil
}

// VersionFor is the version to compare with; nil where it is to be chosen among texts once the row is known.
func (s Switches) VersionFor(version *kind.Field) (any, error) {
	if s.Texts != nil {
		one, _ := s.Texts.One(version)
		return one, nil
	}
	if s.loaded {
		return s.expected, nil
	}
	if rv := reflect.ValueOf(s.expected); rv.Kind() == reflect.Pointer && rv.IsNil() {
		return nil, fmt.Errorf("occ: model %s, field %s: Expect was given a nil pointer: pass the version", version.Schema.Name, version.Name)
	}
	return version.Convert(s.expected, "the version given to Expect")
}

func Of(stmt *gorm.Statement) (s Switches, err error) {
	if c, ok := stmt.Clauses[ExpectClause]; ok {
		s.Expects = true
		switch e := c.Expression.(type) {
		case Expect:
			s.expected, s.loaded = e.Version, e.Loaded
		case Texts:
			s.Texts = &e
		}
	}
	_, s.Unchecked = stmt.Clauses[UncheckedClause]
	s.Touch, _ = stmt.Clauses[TouchClause].Expression.(*Touch)
	if s.Expects && s.Unchecked {
		return s, errExpectUnchecked
	}
	return s, nil
}

// RefuseExpect refuses an expected version on the db of a function that compares the versions which models hold.
func RefuseExpect(db *gorm.DB, functions string) error {
	if _, expects := db.Statement.Clauses[ExpectClause]; !expects {
		return nil
	}
	return fmt.Errorf("occ: Expect with %s: they compare the version that the model holds: set it in the model: %w", functions, gorm.ErrInvalidData)
}
