package occform

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"reflect"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/gorm-occ/occ"
)

// Conflict is what a person has to decide: the form again, with what it was, theirs and yours.
type Conflict struct {
	// Reason is that of the refusal: [occ.ReasonChanged] or [occ.ReasonDeleted] as a rule. It is empty in an [InputError].
	Reason occ.Reason
	// Fields are the fields of the form in the order they were named.
	Fields []Field
	// Blame has the columns tagged `gorm:"blame"` of the row as it is now, by column; nil where there are none.
	Blame map[string]any
	// Hidden is the hidden input for the page that shows the conflict: the version and the values of the row as it is now, so
	// that somebody who writes while that page is open is noticed too. It is empty where the row is gone.
	Hidden template.HTML

	inputs []string // the name of each field's input
}

// State says who has changed a field since the form was shown.
type State string

// The states of a field.
const (
	StateUnchanged State = "unchanged" // nobody
	StateMine      State = "mine"      // only the person
	StateTheirs    State = "theirs"    // only others
	StateSame      State = "same"      // both, to the same value
	StateBoth      State = "both"      // both, to different values, or the row is gone: somebody has to decide
)

// Field is one field of a [Conflict]. The values are as the model's field holds them; Theirs is nil where the row is gone, and
// Mine is a [*FieldError] where the input did not parse.
type Field struct {
	Name   string // as in Go: Place, Address.City
	Column string
	Label  string // the column's comment in the gorm tag, or the name in words
	Base   any    // what was shown
	Mine   any    // what the person made of it
	Theirs any    // what the row has now
	State  State
}

// compare fills in the fields of a conflict. Theirs is not valid where the row is gone.
func (f *form) compare(c *Conflict, base, mine, theirs reflect.Value) {
	for _, in := range f.inputs {
		was, now := in.of(f.ctx, base), in.entered(f.ctx, mine)
		field := Field{Name: pathOf(in.field), Column: in.field.DBName, Label: in.label(), Base: anyOf(was), Mine: anyOf(now)}
		if theirs.IsValid() {
			is := in.of(f.ctx, theirs)
			field.Theirs, field.State = anyOf(is), stateOf(was, now, is)
		} else if field.State = StateUnchanged; !isSame(was, now) {
			field.State = StateBoth
		}
		c.Fields, c.inputs = append(c.Fields, field), append(c.inputs, in.name)
	}
}

func stateOf(base, mine, theirs reflect.Value) State {
	isBlank := !base.IsValid() && theirs.IsValid() && theirs.IsZero() // GORM loads NULL as zero where there is a struct now
	isMine, isTheirs := !isSame(base, mine), !isSame(base, theirs) && !isBlank
	switch {
	case isMine && isTheirs && isSame(mine, theirs):
		return StateSame
	case isMine && isTheirs:
		return StateBoth
	case isMine:
		return StateMine
	case isTheirs:
		return StateTheirs
	}
	return StateUnchanged
}

func anyOf(v reflect.Value) any {
	if !v.IsValid() {
		return nil
	}
	return v.Interface()
}

// unread is the form again, for inputs that do not parse.
func (f *form) unread(hidden template.HTML, base, mine reflect.Value, failed []*FieldError) *Conflict {
	c := &Conflict{Hidden: hidden}
	f.compare(c, base, mine, base)
	for i := range c.Fields {
		for _, err := range failed {
			if err.Column == c.Fields[i].Column {
				c.Fields[i].Mine, c.Fields[i].State = err, StateMine
			}
		}
	}
	return c
}

// Page is what [Conflict.Render] puts around a conflict.
type Page struct {
	Title  string // heading and title; "Conflict" if empty
	Action string // where the form is posted to; the address of the page itself if empty
	// Wrap is a layout of the application's own. It is executed with .Title and .Content, the form as [template.HTML]. Nil
	// is a plain page.
	Wrap *template.Template
}

//go:embed conflict.html
var files embed.FS

var pages = template.Must(template.New("").ParseFS(files, "conflict.html"))

// Render writes the conflict as HTML: a form that posts to Action what the person decides, for the handler that saved the
// first one. It shows what it was, yours and theirs side by side. Fields that only one side has changed are chosen already; for
// the others nothing is, and the form cannot be sent without a choice. It works without script, with the keyboard and
// with a screen reader; nothing is told by colour alone. All values are escaped.
//
// It is written in one piece once it is complete: an error of the layout leaves w untouched. Set status and Content-Type before.
func (c *Conflict) Render(w io.Writer, p Page) error {
	if p.Title == "" {
		p.Title = "Conflict"
	}
	var content, page bytes.Buffer
	if err := pages.ExecuteTemplate(&content, "content", c.view(p)); err != nil {
		return fmt.Errorf("occform: Render: %w", err)
	}
	layout := p.Wrap
	if layout == nil {
		layout = pages.Lookup("page")
	}
	err := layout.Execute(&page, map[string]any{"Title": p.Title, "Content": template.HTML(content.String())})
	if err != nil {
		return fmt.Errorf("occform: Render: %w", err)
	}
	_, err = page.WriteTo(w)
	return err
}

// view is what the template shows.
type view struct {
	Page
	Hidden                     template.HTML
	IsDeleted, IsInput, HasRow bool
	Blame                      []blamed
	Fields                     []fieldView
}

type blamed struct{ Label, Value string }

// fieldView is one field: radio buttons or, where the input did not parse, an input.
type fieldView struct {
	Field
	Input, ID, Error                string
	BaseText, MineText, TheirsText  string // to read
	MineValue, TheirsValue          string // to send
	IsFirst, IsOpen, IsLong, IsBool bool
	TakeMine, TakeTheirs            bool
}

func (c *Conflict) view(p Page) *view {
	v := &view{Page: p, Hidden: c.Hidden, IsDeleted: c.Reason == occ.ReasonDeleted, IsInput: c.Reason == "", HasRow: c.Hidden != "", Blame: c.blamed()}
	for i := range c.Fields {
		v.Fields = append(v.Fields, c.fieldView(i, v.IsInput))
	}
	if first := slices.IndexFunc(v.Fields, func(f fieldView) bool { return f.IsOpen }); first >= 0 {
		v.Fields[first].IsFirst = true
	}
	return v
}

func (c *Conflict) fieldView(i int, isInput bool) fieldView {
	field := c.Fields[i]
	f := fieldView{Field: field, Input: field.Name, ID: fmt.Sprintf("occ-%d", i)}
	if i < len(c.inputs) {
		f.Input = c.inputs[i]
	}
	f.BaseText, f.TheirsText = toRead(field.Base), toRead(field.Theirs)
	f.TheirsValue, _ = textOf(reflect.ValueOf(field.Theirs))
	if failed, ok := field.Mine.(*FieldError); ok {
		f.Error, f.MineValue, f.MineText = failed.Err.Error(), failed.Text, failed.Text
	} else {
		f.MineText = toRead(field.Mine)
		f.MineValue, _ = textOf(reflect.ValueOf(field.Mine))
		f.IsBool = f.MineValue == "true" || f.MineValue == "false"
	}
	f.IsLong = strings.ContainsAny(f.MineValue, "\r\n")
	f.IsOpen = f.Error != "" || !isInput && field.State == StateBoth
	f.TakeMine = field.State == StateMine
	f.TakeTheirs = field.State != StateMine && field.State != StateBoth
	return f
}

// toRead is a value in words.
func toRead(value any) string {
	v := reflect.ValueOf(value)
	if at, ok := timeIn(v); ok {
		return at.Format("2006-01-02 15:04:05.999999999 -07:00")
	}
	text, ok := textOf(v)
	switch {
	case !ok:
		return "(nothing)"
	case text == "":
		return "(empty)"
	case text == "true" && isBool(v):
		return "yes"
	case text == "false" && isBool(v):
		return "no"
	}
	return text
}

func isBool(v reflect.Value) bool {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return v.Kind() == reflect.Bool || isNullBool(v.Type())
}

// blamed is the blame in the order of the columns' names, in words.
func (c *Conflict) blamed() (all []blamed) {
	for column, value := range c.Blame {
		text := ""
		if at, ok := timeIn(reflect.ValueOf(value)); ok {
			text = at.Format(time.DateTime + " -07:00")
		} else if v := reflect.ValueOf(value); v.IsValid() && isSupported(v.Type()) {
			text, _ = textOf(v)
		} else if value != nil {
			text = fmt.Sprint(value)
		}
		all = append(all, blamed{strings.ReplaceAll(column, "_", " "), text})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Label > all[j].Label }) // updated_by before updated_at
	return all
}
