package kind

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/dialect"
)

// Kind is one kind of version. Versions go in and out as the version field's own type holds them.
type Kind interface {
	// Convert returns a version of a payload or of Expect as the field's type holds it.
	Convert(version any) (any, error)
	// IsZero reports whether a model with this version was never loaded.
	IsZero(version any) bool
	// Next returns the version after current, or the first one where current is nil or zero.
	Next(ctx context.Context, current any) (any, error)
	// NextInSQL returns the next version as an expression over the stored one, for rows whose version is not at hand. It is
	// nil where SQL cannot make it: those rows are read.
	NextInSQL(column clause.Column) clause.Expression
	// Bind returns a version as it is sent to the database.
	Bind(version any) any
	// Stored returns a version as the column gives it back.
	Stored(version any) any
	// Equals returns the condition that a column holds a version. Value is what Bind returned, or a column that holds such.
	Equals(column clause.Column, value any) clause.Expression
	// ZeroInSQL returns the zero value that a row may hold instead of NULL, nil if there is none.
	ZeroInSQL() any
	// IsSame reports whether two versions are the same one.
	IsSame(a, b any) bool
	// IsAhead reports whether a is later than b. It is false for kinds that have no order.
	IsAhead(a, b any) bool
	// Format returns a version that is not zero as text in visible ASCII. ok is false where its type has none.
	Format(version any) (text string, ok bool)
	// Parse undoes Format. It may take two texts for one version.
	Parse(text string) (version any, ok bool)
}

// builtIns are the kinds that a tag can name. A field whose tag names none gets the first that serves its type.
var builtIns = []struct {
	name string
	// of returns the kind for a field, or nil where the kind does not serve the field's type.
	of func(k *Kinds, version *Field) (Kind, error)
}{
	{"counter", (*Kinds).counterOf},
	{"time", (*Kinds).clockOf},
	{"uuid", (*Kinds).randomOf},
}

// byDatabase is the tag of versions that the database writes, whatever their type.
const byDatabase = "database"

// Kinds makes the versions of fields: one for each plugin.
type Kinds struct {
	Dialect    *dialect.Dialect
	ColumnType func(*schema.Field) string // the column's type as a migration writes it
	Now        func() time.Time           // gorm.Config.NowFunc
	Generators map[string]Generator
	Types      Types
}

// Types are the types of version fields that need no tag.
type Types struct {
	Version, Xmin reflect.Type
	Box           func(int64) any // a value of the type version, made without reflection
}

// useKind gives a field the kind of version that its tag names, or that serves its type where the name is empty.
func (k *Kinds) useKind(version *Field, name string) (err error) {
	generator, isGenerated := k.Generators[name]
	switch {
	case isGenerated && isBuiltIn(name):
		return fmt.Errorf("WithGenerator(%q) would replace a kind that is there already: choose another name", name)
	case isGenerated && generator == nil:
		return fmt.Errorf("WithGenerator(%q) was given a nil generator", name)
	case isGenerated:
		version.Kind = Generated{Kind: k.anyKind(version), generator: generator, Name: name, typ: version.FieldType}
	case name == byDatabase:
		version.Kind, version.ByDatabase = k.anyKind(version), true
	case isBuiltIn(name):
		version.Kind, err = k.builtIn(version, name)
	default:
		return fmt.Errorf("there is no kind of version called %q", name)
	}
	return err
}

// isBuiltIn reports whether no generator can have the name.
func isBuiltIn(name string) bool {
	for _, b := range builtIns {
		if name == b.name {
			return true
		}
	}
	return name == "" || name == byDatabase
}

// builtIn returns the kind of a name for a field, or where the name is empty the first that serves the field's type.
func (k *Kinds) builtIn(version *Field, name string) (Kind, error) {
	for _, b := range builtIns {
		if name != "" && name != b.name {
			continue
		}
		if kind, err := b.of(k, version); kind != nil || err != nil {
			return kind, err
		}
	}
	if name != "" {
		return nil, fmt.Errorf("the kind of version %q does not serve type %s", name, version.FieldType)
	}
	return nil, fmt.Errorf("no kind of version serves type %s: use an integer type such as occ.Version, time.Time, string or uuid.UUID", version.FieldType)
}

// anyKind returns the kind by which versions that others make are converted and compared: the one that serves the field's
// type, or plain equality.
func (k *Kinds) anyKind(version *Field) Kind {
	if served, err := k.builtIn(version, ""); err == nil {
		return served
	}
	return plain{holderOf(version.FieldType)}
}
