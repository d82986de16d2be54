package occform

import (
	"errors"
	"fmt"
	"html/template"
	"reflect"
	"slices"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/intent"
)

// attempts is how often Save merges anew when somebody writes the row between its reading and writing.
const attempts = 5

// Save writes what the person changed into the row that has the primary key of model; everything else in model is ignored.
// Fields that only others have changed since the form was shown stay as they are: different fields are merged, as
// [occ.Rebase] does. Afterwards model is the row as it is stored. If an [occ.Transaction] that Save ran in is rolled back,
// the version and the snapshot of model are what they were before.
//
// Where a field was changed by both to different values, or the row was deleted (also softly), nothing is written, model is what
// it was, and Save returns a [*Conflict] together with an error that matches [occ.ErrStaleData]. Answer 409 with
// [Conflict.Render]; the page that it renders is a form of its own, at the row's current version, for the same handler.
//
// Inputs that did not parse are the [*InputError] of [Parse]; a nil model or one without a primary key is an error. Other
// errors are those of the database, without a Conflict. It costs what Rebase costs, a read if there is a conflict, and a second
// Rebase if others have changed line ends of a text. Somebody who writes the row in between is merged anew, up to 5 times.
func (e *Edit[T]) Save(db *gorm.DB, model *T) (*Conflict, error) {
	if e.invalid != nil {
		return nil, e.invalid
	}
	f, err := e.formIn(db, model)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		err = e.merge(db, f, model)
		if err == nil {
			return nil, nil
		}
		if !isOvertaken(err) || attempt == attempts {
			break
		}
	}
	if !errors.Is(err, occ.ErrStaleData) {
		return nil, err
	}
	return e.conflict(db, f, model, err), err
}

// merge merges the edit into the row, and copies what is stored then into model.
func (e *Edit[T]) merge(db *gorm.DB, f *form, model *T) error {
	db = intent.Rebase{Into: model, Entered: e.entered(f)}.In(db)
	base, mine := e.sides(f, model)
	err := occ.Rebase(db, base, mine)
	if unresolved := (*occ.MergeConflictError)(nil); errors.As(err, &unresolved) && f.alignLineEnds(base, mine, unresolved) {
		err = occ.Rebase(db, base, mine)
	}
	if err == nil {
		*model = *mine
	}
	return err
}

// entered returns the columns of the form, without those that stayed NULL.
func (e *Edit[T]) entered(f *form) map[string]bool {
	columns := map[string]bool{}
	for _, in := range f.inputs {
		if !in.isUnset || in.entered(f.ctx, reflect.ValueOf(e.Mine).Elem()).IsValid() {
			columns[in.field.DBName] = true
		}
	}
	return columns
}

// alignLineEnds gives the texts of a conflict the same line ends where they differ in nothing else. It reports whether there
// were any. The line ends of the row stay.
func (f *form) alignLineEnds(base, mine any, unresolved *occ.MergeConflictError) (found bool) {
	was, now := reflect.ValueOf(base).Elem(), reflect.ValueOf(mine).Elem()
	is := reflect.ValueOf(unresolved.Theirs).Elem()
	for _, in := range f.inputs {
		isOpen := slices.ContainsFunc(unresolved.Fields, func(c occ.FieldConflict) bool { return c.Column == in.field.DBName })
		for _, pair := range [][2]reflect.Value{{was, is}, {now, is}, {now, was}} {
			to, from := pair[0], in.of(f.ctx, pair[1])
			if isOpen && differInLineEnds(in.of(f.ctx, to), from) {
				in.set(f.ctx, to, from)
				found = true
			}
		}
	}
	return found
}

func (e *Edit[T]) formIn(db *gorm.DB, model *T) (*form, error) {
	switch {
	case model == nil || e.Base == nil || e.Mine == nil:
		return nil, fmt.Errorf("occform: Save of model %T: Base, Mine and the model must not be nil: %w", model, gorm.ErrInvalidValue)
	case e.form != nil:
		return e.form, nil
	}
	return everyField(db, new(T))
}

// isOvertaken reports whether the row was written between being read and being saved; then it can be merged anew.
func isOvertaken(err error) bool {
	stale := (*occ.StaleDataError)(nil)
	return errors.As(err, &stale) && stale.Err == nil && stale.Rows[0].Reason == occ.ReasonChanged
}

// sides are the states to merge: they differ in nothing but the fields of the form.
func (e *Edit[T]) sides(f *form, model *T) (base, mine *T) {
	base, mine = new(T), new(T)
	for _, side := range []struct{ to, from *T }{{base, e.Base}, {mine, e.Mine}} {
		to, from := reflect.ValueOf(side.to).Elem(), reflect.ValueOf(side.from).Elem()
		for _, field := range f.schema.PrimaryFields {
			in := input{field: field}
			in.set(f.ctx, to, in.of(f.ctx, reflect.ValueOf(model).Elem()))
		}
		for _, field := range f.schema.Fields {
			if in := (input{field: field}); field.DBName != "" && refusalOf(field) == "the version" {
				in.set(f.ctx, to, in.of(f.ctx, reflect.ValueOf(e.Base).Elem()))
			}
		}
		for _, in := range f.inputs {
			in.set(f.ctx, to, in.entered(f.ctx, from))
		}
	}
	return base, mine
}

// conflict is what stands between the edit and the row as it is now.
func (e *Edit[T]) conflict(db *gorm.DB, f *form, model *T, err error) *Conflict {
	c := &Conflict{Reason: occ.ReasonChanged}
	if stale := (*occ.StaleDataError)(nil); errors.As(err, &stale) {
		c.Reason, c.Blame = stale.Rows[0].Reason, stale.Rows[0].Blame
	}
	theirs := e.theirs(db, model, err)
	base, mine := reflect.ValueOf(e.Base).Elem(), reflect.ValueOf(e.Mine).Elem()
	if theirs == nil || c.Reason == occ.ReasonDeleted {
		f.compare(c, base, mine, reflect.Value{})
		return c
	}
	row := reflect.ValueOf(theirs).Elem()
	if c.Blame == nil {
		c.Blame = f.blame(row)
	}
	f.compare(c, base, mine, row)
	c.Hidden = e.hiddenOf(db, f, theirs)
	return c
}

// theirs is the row as it is now; nil where it cannot be read.
func (e *Edit[T]) theirs(db *gorm.DB, model *T, err error) *T {
	if unresolved := (*occ.MergeConflictError)(nil); errors.As(err, &unresolved) {
		if row, ok := unresolved.Theirs.(*T); ok {
			return row
		}
	}
	row, err := occ.Current(db, model)
	if err != nil {
		return nil
	}
	return row
}

func (e *Edit[T]) hiddenOf(db *gorm.DB, f *form, theirs *T) template.HTML {
	version, err := occ.VersionText(db, theirs)
	if err != nil {
		return ""
	}
	hidden, _ := f.hidden(version, reflect.ValueOf(theirs).Elem())
	return hidden
}

// blame has the columns that say who wrote a row, and when; nil where none is tagged.
func (f *form) blame(row reflect.Value) (blame map[string]any) {
	for _, field := range f.schema.Fields {
		if _, isBlame := field.TagSettings["BLAME"]; !isBlame || field.DBName == "" {
			continue
		}
		if blame == nil {
			blame = map[string]any{}
		}
		blame[field.DBName], _ = field.ValueOf(f.ctx, row)
	}
	return blame
}
