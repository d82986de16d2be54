package kind

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"gorm.io/gorm/clause"
)

// Generator makes versions; see the root's Generator.
type Generator interface {
	Next(ctx context.Context, current any) (any, error)
}

// Generated is a kind of the user's own: its versions come from a [Generator], all else is as the field's type has it.
type Generated struct {
	Kind
	generator Generator
	Name      string
	typ       reflect.Type
}

func (g Generated) NextInSQL(clause.Column) clause.Expression { return nil }

func (g Generated) IsAhead(_, _ any) bool { return false }

// Next asks the generator. A panic of it is an error, since GORM would leave its transaction open.
func (g Generated) Next(ctx context.Context, current any) (next any, err error) {
	defer func() {
		if failure := recover(); failure != nil {
			next, err = nil, fmt.Errorf("the generator %q panicked: %v", g.Name, failure)
		}
	}()
	made, err := g.generator.Next(ctx, current)
	if err != nil {
		return nil, fmt.Errorf("the generator %q: %w", g.Name, err)
	}
	return g.take(made)
}

// take minds the type closely: text that reads like a number is no number.
func (g Generated) take(made any) (any, error) {
	given, core := open(made), holderOf(g.typ).core
	if !given.IsValid() {
		return nil, fmt.Errorf("the generator %q returned nil", g.Name)
	}
	if !isSameSort(given.Type(), core) {
		return nil, fmt.Errorf("the generator %q returned %T, which does not fit %s", g.Name, made, g.typ)
	}
	version, err := g.Convert(made)
	if err != nil {
		return nil, fmt.Errorf("the generator %q returned a wrong value: %w", g.Name, err)
	}
	if version = g.Stored(version); g.IsZero(version) {
		return nil, errors.New("the generator " + fmt.Sprintf("%q", g.Name) + " returned the zero value, which stands for no version")
	}
	return version, nil
}

func isSameSort(given, core reflect.Type) bool {
	if IntegerIn(core) != nil {
		return IntegerIn(given) != nil
	}
	return given.Kind() == core.Kind() && given.ConvertibleTo(core)
}
