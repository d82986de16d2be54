package kind

import (
	"errors"
	"fmt"
	"strconv"

	"gorm.io/gorm/clause"
)

const XminColumn = "xmin"

func (k *Kinds) useXmin(version *Field) error {
	if !k.Dialect.HasXmin {
		return fmt.Errorf("%s has no column xmin: occ.Xmin is for PostgreSQL", k.Dialect.Name)
	}
	counter, ok := k.newCounter(version.Field)
	if !ok || version.DBName != XminColumn {
		return errors.New("occ.Xmin has to be a field of its own")
	}
	version.Kind, version.ByDatabase = Xmin{counter}, true
	return nil
}

// Xmin is the kind of version that is PostgreSQL's number of a transaction: its numbers go round, and say nothing of an
// order. The type xid compares with little; text always binds.
type Xmin struct{ Counter }

func (x Xmin) Bind(version any) any {
	n, _ := x.decode(version)
	return strconv.FormatUint(n, 10)
}

func (x Xmin) Equals(column clause.Column, value any) clause.Expression {
	if filled, ok := value.(clause.Column); ok {
		return clause.Eq{Column: column, Value: filled}
	}
	return clause.Expr{SQL: "CAST(? AS text) = ?", Vars: []any{column, value}}
}

func (x Xmin) ZeroInSQL() any { return nil }

func (x Xmin) IsAhead(_, _ any) bool { return false }

func (f *Field) IsXmin() bool {
	_, is := f.Kind.(Xmin)
	return is
}
