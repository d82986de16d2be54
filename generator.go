package occ

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"gorm.io/gorm/clause"
)

// generator makes versions; see the root's Generator.
type generator interface {
	Next(ctx context.Context, current any) (any, error)
}

// generatorKind is a kind of the user's own: its versions come from a [Generator], all else is as the field's type has it.
type generatorKind struct {
	kind
	generator generator
	name      string
	typ       reflect.Type
}

func (g generatorKind) nextInSQL(clause.Column) clause.Expression { return nil }

func (g generatorKind) isAhead(_, _ any) bool { return false }

// next asks the generator. A panic of it is an error, since GORM would leave its transaction open.
func (g generatorKind) next(ctx context.Context, current any) (next any, err error) {
	defer func() {
		if failure := recover(); failure != nil {
			next, err = nil, fmt.Errorf("the generator %q panicked: %v", g.name, failure)
		}
	}()
	made, err := g.generator.Next(ctx, current)
	if err != nil {
		return nil, fmt.Errorf("the generator %q: %w", g.name, err)
	}
	return g.take(made)
}

// take minds the type closely: text that reads like a number is no number.
func (g generatorKind) take(made any) (any, error) {
	given, core := open(made), holderOf(g.typ).core
	if !given.IsValid() {
		return nil, fmt.Errorf("the generator %q returned nil", g.name)
	}
	if !isSameSort(given.Type(), core) {
		return nil, fmt.Errorf("the generator %q returned %T, which does not fit %s", g.name, made, g.typ)
	}
	version, err := g.convert(made)
	if err != nil {
		return nil, fmt.Errorf("the generator %q returned a wrong value: %w", g.name, err)
	}
	if version = g.stored(version); g.isZero(version) {
		return nil, errors.New("the generator " + fmt.Sprintf("%q", g.name) + " returned the zero value, which stands for no version")
	}
	return version, nil
}

func isSameSort(given, core reflect.Type) bool {
	if integerIn(core) != nil {
		return integerIn(given) != nil
	}
	return given.Kind() == core.Kind() && given.ConvertibleTo(core)
}
