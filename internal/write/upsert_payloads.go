package write

import (
	"reflect"

	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/rows"
)

// payload is one element of what an upsert was given in place of models: a map, or a struct of another type on the table.
type payload struct {
	target reflect.Value // as the statement takes it
	dest   any
	model  reflect.Value // a model of the row that holds what the element does
}

// isOfPayloads reports whether an INSERT is of maps, or of another type's structs.
func (c *Call) isOfPayloads() bool { return len(c.collect(c.Stmt.ReflectValue, nil)) == 0 }

// writePayloads is the upsert of what is no model, where SQL cannot move the version on or where the call says which
// version it expects: each row is read and locked before it is written.
func (u *upsert) writePayloads() (int64, error) {
	payloads, err := u.payloads()
	if err != nil {
		return 0, err
	}
	return u.allOrNone(func() (affected int64, err error) {
		for index, p := range payloads {
			n, err := u.pointAt(p.target, p.dest, func() (int64, error) { return u.writePayload(index, p) })
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
	there, states, missing, err := p.lockStored(u.given)
	if err != nil {
		return 0, err
	}
	if u.expects && !u.switches.Unchecked {
		if err := u.compareExpected(p, there, states, missing); err != nil {
			return 0, err
		}
	}
	if len(there) == 0 {
		return u.insertInstead(u.insert)
	}
	if err := p.setNextAfter(there[0], states[0].Version); err != nil {
		return 0, err
	}
	return u.sendPayload(p.nextAfter(there[0]))
}

// insertInstead runs an INSERT without the caller's ON CONFLICT.
func (u *upsert) insertInstead(insert func() (int64, error)) (int64, error) {
	before, had := u.Stmt.Clauses["ON CONFLICT"]
	defer u.setClause("ON CONFLICT", before, had)
	delete(u.Stmt.Clauses, "ON CONFLICT")
	return insert()
}

// compareExpected compares the row of an element with the version that the call expects.
func (u *upsert) compareExpected(p *plan, there []*rows.Row, states []rows.State, missing []*rows.Row) error {
	u.Counters().Checked.Add(1)
	hand := there
	for _, r := range missing {
		hand, states = append(hand, r), append(states, rows.State{})
	}
	hand[0].Expected = u.version
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
	u.buildUpsert(next)
	return execute(u.DB, u.Plugin.Gorm.create)
}

// payloads returns the elements of the statement, each with a model of its row.
func (u *upsert) payloads() (payloads []payload, err error) {
	addMap := func(values map[string]any) error {
		model, err := u.modelOfMap(values)
		payloads = append(payloads, payload{reflect.ValueOf(values), values, model})
		return err
	}
	switch dest := u.givenMaps().(type) {
	case map[string]any:
		err = addMap(dest)
	case []map[string]any:
		for _, values := range dest {
			if err == nil {
				err = addMap(values)
			}
		}
	default:
		err = eachModel(u.Stmt.ReflectValue, func(_ int, other reflect.Value) error {
			model, err := u.modelOfStruct(other)
			payloads = append(payloads, payload{other, other.Addr().Interface(), model})
			return err
		})
	}
	return payloads, err
}

// modelOfMap returns a model that has what a map says of the columns.
func (u *upsert) modelOfMap(values map[string]any) (reflect.Value, error) {
	model := reflect.New(u.Model.ModelType).Elem()
	for name, value := range values {
		if err := u.setColumn(model, u.Model.LookUpField(name), value); err != nil {
			return model, err
		}
	}
	return model, nil
}

// modelOfStruct returns a model that has what another type's struct says of the columns.
func (u *upsert) modelOfStruct(other reflect.Value) (reflect.Value, error) {
	model := reflect.New(u.Model.ModelType).Elem()
	for _, field := range u.Stmt.Schema.FieldsByDBName {
		if value, isZero := field.ValueOf(u.Ctx, other); !isZero {
			if err := u.setColumn(model, u.Model.LookUpField(field.DBName), value); err != nil {
				return model, err
			}
		}
	}
	return model, nil
}

func (u *upsert) setColumn(model reflect.Value, field *schema.Field, value any) error {
	if field == nil || field == u.Model.Version.Field || value == nil || clauses.IsExpression(value) {
		return nil
	}
	return field.Set(u.Ctx, model, value)
}
