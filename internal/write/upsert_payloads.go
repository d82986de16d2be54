package write

import (
	"reflect"

	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
)

// payload is one element of what an upsert was given in place of models: a map, or a struct of another type on the table.
type payload struct {
	target  reflect.Value // as the statement takes it
	dest    any
	model   reflect.Value // a model of the row that holds what the element does
	version any           // that the element says its row is at; nil if it says none
}

// isOfPayloads reports whether an INSERT is of maps, or of another type's structs.
func isOfPayloads(s *rows.Site) bool {
	hasModels := false
	_ = eachModel(s.Stmt.ReflectValue, func(_ int, element reflect.Value) error {
		hasModels = hasModels || s.Model.IsModel(element)
		return nil
	})
	if hasModels {
		return false
	}
	kind := s.Stmt.ReflectValue.Kind()
	return kind == reflect.Struct || kind == reflect.Map || s.Stmt.ReflectValue.Len() > 0
}

// writePayloads is the upsert of what is no model, where SQL cannot advance the version or a version is expected. Each row is
// read and locked before it is written.
func (u *upsert) writePayloads(payloads []payload) (int64, error) {
	return u.allOrNone(func() (affected int64, err error) {
		for index, p := range payloads {
			n, err := pointAt(u.Stmt, p.target, p.dest, func() (int64, error) { return u.writePayload(index, p) })
			if err != nil {
				return 0, err
			}
			affected += n
		}
		return affected, nil
	})
}

func (u *upsert) writePayload(index int, element payload) (int64, error) {
	p := u.planOf([]rows.Row{{Index: index, Model: element.model}})
	there, states, missing, err := u.lockStored(p)
	if err != nil {
		return 0, err
	}
	expected, isExpected := u.version, u.expects
	if !isExpected {
		expected, isExpected = element.version, element.version != nil
	}
	if isExpected && !u.switches.Unchecked {
		if err := u.compareExpected(p, expected, there, states, missing); err != nil {
			return 0, err
		}
	}
	if len(there) == 0 {
		return u.insertInstead(u.insert)
	}
	if err := p.SetNextAfter(there[0], states[0].Version); err != nil {
		return 0, err
	}
	return u.sendPayload(nextOf(u.Model, there[0]))
}

// insertInstead runs an INSERT without the caller's ON CONFLICT.
func (u *upsert) insertInstead(insert func() (int64, error)) (int64, error) {
	before, had := u.Stmt.Clauses["ON CONFLICT"]
	defer setClause(u.Stmt, "ON CONFLICT", before, had)
	delete(u.Stmt.Clauses, "ON CONFLICT")
	return insert()
}

// compareExpected compares the row of an element with the version that the call or the element expects.
func (u *upsert) compareExpected(p *plan, expected any, there []*rows.Row, states []rows.State, missing []*rows.Row) error {
	u.Counters().Checked.Add(1)
	hand := there
	for _, r := range missing {
		hand, states = append(hand, r), append(states, rows.State{})
	}
	hand[0].Expected = expected
	if p.areCurrent(hand, states) {
		return nil
	}
	return p.refuseRows(hand, states)
}

func (u *upsert) sendPayload(next any) (int64, error) {
	numbered, err := u.numberInserted()
	defer numbered.putBack()
	if err != nil {
		return 0, err
	}
	upsertStatement{&u.Site}.build(next)
	return u.execute(u.DB, u.Plugin.Gorm.create)
}

// payloads returns the elements of the statement, each with a model of its row, and whether one of them says its version.
func (u *upsert) payloads() (payloads []payload, areRead bool, err error) {
	add := func(target reflect.Value, dest any, model reflect.Value, version any) {
		if version != nil && u.Model.Version.Kind.IsZero(version) {
			version = nil
		}
		areRead = areRead || version != nil
		payloads = append(payloads, payload{target, dest, model, version})
	}
	addMap := func(values map[string]any) error {
		model, err := modelOfMap(&u.Site, values)
		if err != nil {
			return err
		}
		version, err := versionOfMap(u.Model, values)
		add(reflect.ValueOf(values), values, model, version)
		return err
	}
	given, areMaps := givenMaps(u.Stmt)
	for _, values := range given {
		if err == nil {
			err = addMap(values)
		}
	}
	if !areMaps {
		err = eachModel(u.Stmt.ReflectValue, func(_ int, other reflect.Value) error {
			model, err := modelOfStruct(&u.Site, other)
			if err != nil {
				return err
			}
			version, err := versionOfOther(&u.Site, other)
			add(other, other.Addr().Interface(), model, version)
			return err
		})
	}
	return payloads, areRead, err
}

// versionOfMap returns the version that a map brings under any name of its column; nil if none.
func versionOfMap(m *model.Model, values map[string]any) (version any, err error) {
	for name, value := range values {
		if version, err = orVersion(m, version, name, value); err != nil {
			return nil, err
		}
	}
	if version == nil {
		return nil, nil
	}
	return m.Version.Convert(version, "the version in the map")
}

// versionOfOther returns the version that another type's struct brings; the zero value where it has none.
func versionOfOther(s *rows.Site, other reflect.Value) (version any, err error) {
	zero := reflect.Zero(s.Model.Version.FieldType).Interface()
	if s.Model.Compares() != nil || s.Stmt.Schema == nil {
		return zero, nil
	}
	field := s.Stmt.Schema.LookUpField(s.Model.Version.DBName)
	if field == nil {
		return zero, nil
	}
	value, isZero := field.ValueOf(s.Ctx, other)
	if isZero {
		return zero, nil
	}
	return s.Model.Version.Convert(value, "the version in the payload")
}

// proposed returns the models of an INSERT; of maps and of another type's structs, the models that are made of them.
func (c *Call) proposed(ofMap func(map[string]any) (reflect.Value, error), ofStruct func(reflect.Value) (reflect.Value, error)) (models []reflect.Value, err error) {
	given, areMaps := givenMaps(c.Stmt)
	if !areMaps && (!isOfPayloads(&c.Site) || c.Stmt.Schema == nil) {
		return modelsOf(c.candidates()), nil
	}
	add := func(model reflect.Value, err error) error {
		models = append(models, model)
		return err
	}
	if !areMaps {
		err = eachModel(c.Stmt.ReflectValue, func(_ int, other reflect.Value) error { return add(ofStruct(other)) })
		return models, err
	}
	for _, values := range given {
		if err := add(ofMap(values)); err != nil {
			return nil, err
		}
	}
	return models, nil
}

// modelOfMap returns a model that has what a map says of the columns.
func modelOfMap(s *rows.Site, values map[string]any) (reflect.Value, error) {
	model := reflect.New(s.Model.ModelType).Elem()
	for name, value := range values {
		if err := setColumn(s, model, s.Model.LookUpField(name), value); err != nil {
			return model, err
		}
	}
	return model, nil
}

// modelOfStruct returns a model that has what another type's struct says of the columns.
func modelOfStruct(s *rows.Site, other reflect.Value) (reflect.Value, error) {
	model := reflect.New(s.Model.ModelType).Elem()
	for _, field := range s.Stmt.Schema.FieldsByDBName {
		if value, isZero := field.ValueOf(s.Ctx, other); !isZero {
			if err := setColumn(s, model, s.Model.LookUpField(field.DBName), value); err != nil {
				return model, err
			}
		}
	}
	return model, nil
}

func setColumn(s *rows.Site, model reflect.Value, field *schema.Field, value any) error {
	isVersion := s.Model.Version != nil && field == s.Model.Version.Field
	if field == nil || isVersion || value == nil || clauses.IsExpression(value) {
		return nil
	}
	return field.Set(s.Ctx, model, value)
}
