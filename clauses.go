package occ

import (
	"errors"
	"fmt"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Expect has a write compare with version instead of the model's own: the version a client sent back, say. It is for
// db.Clauses(...) and gorm.G[T](db, ...), and applies to the write it is given to alone, not to associations saved with
// it; on a slice it is the version of every row. Version may be of any type that the version field can hold without
// loss; nil or another type fails the write with an error that names model and field, before anything is sent.
// With Expect a write needs no primary key in the model: `Where("id = ?", id)` does, and 0 rows are then a refusal. A write
// that changes nothing that counts is compared too, and writes nothing but what was asked.
//
// On a First, Take, Last or Find into one model the row has to be at that version, else the error is a [*StaleDataError] of
// [OpRead]; the model then holds the row as it is. Several rows, Scan, Count, Pluck, Row and Rows, and a query without the
// version are errors, since it cannot be told there.
//
// On a model without a version, on a table of which no model is known, on a Create that updates no row, where the plugin is
// not registered, and together with [Unchecked], it is an error.
func Expect(version any) clause.Expression { return expect{version} }

// Unchecked has a write not compare versions: whatever the row holds is overwritten. It still writes the next version,
// so that others notice, and leaves the model with it. Like [Expect] it applies to one write.
func Unchecked() clause.Expression { return unchecked{} }

type (
	expect    struct{ version any }
	unchecked struct{}
)

// The switches travel in the statement's clauses: unlike settings, these do not leak into association saves.
const (
	expectClause    = "occ:expect"
	uncheckedClause = "occ:unchecked"
)

func (e expect) ModifyStatement(stmt *gorm.Statement) { setExpected(stmt, e) }

// setExpected leaves the versions that a statement is given where it finds them. The last of several counts.
func setExpected(stmt *gorm.Statement, expected clause.Expression) {
	registeredFor(stmt, "Expect")
	stmt.Clauses[expectClause] = clause.Clause{Expression: expected}
}

func (u unchecked) ModifyStatement(stmt *gorm.Statement) {
	registeredFor(stmt, "Unchecked")
	stmt.Clauses[uncheckedClause] = clause.Clause{Expression: u}
}

// Build writes nothing: the write that finds the switch acts on it.
func (expect) Build(clause.Builder) {}

// Build writes nothing: the write that finds the switch acts on it.
func (unchecked) Build(clause.Builder) {}

var errExpectUnchecked = errors.New("occ: Expect and Unchecked contradict each other: give the write one of them")

// switches are the per-call clauses of a statement.
type switches struct {
	expected  any
	expects   bool
	texts     *expectText // what ExpectText was given, in the place of expected
	unchecked bool
	touch     *touch // the write is one of the version alone
}

// fit reports as an error that a model has nothing to compare the expected version with. A Snapshot has its digest alone.
func (s switches) fit(m *model) error {
	if s.expects && (m.version == nil || m.compares() != nil && s.texts == nil) {
		return fmt.Errorf("occ: model %s has no version that Expect could be compared with", m.Name)
	}
	return nil
}

// versionFor is the version to compare with; nil where it is to be chosen among texts once the row is known.
func (s switches) versionFor(version *versionField) (any, error) {
	if s.texts != nil {
		one, _ := s.texts.one(version)
		return one, nil
	}
	if rv := reflect.ValueOf(s.expected); rv.Kind() == reflect.Pointer && rv.IsNil() {
		return nil, fmt.Errorf("occ: model %s, field %s: Expect was given a nil pointer: pass the version", version.Schema.Name, version.Name)
	}
	return version.convert(s.expected, "what Expect was given")
}

func switchesOf(stmt *gorm.Statement) (s switches, err error) {
	if c, ok := stmt.Clauses[expectClause]; ok {
		s.expects = true
		switch e := c.Expression.(type) {
		case expect:
			s.expected = e.version
		case expectText:
			s.texts = &e
		}
	}
	_, s.unchecked = stmt.Clauses[uncheckedClause]
	s.touch, _ = stmt.Clauses[touchClause].Expression.(*touch)
	if s.expects && s.unchecked {
		return s, errExpectUnchecked
	}
	return s, nil
}
