package rows

import (
	"database/sql"
	"strings"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/dialect"
)

// indexKey names the rows' key of a table among the indexes that have been looked up.
type indexKey struct{ table, columns string }

// ByIndex has a statement that starts with values find the rows of the table by an index, which keeps it from reading, and
// locking, others. It is nil where the table has none that serves, or is no table.
func (s *Site) ByIndex(by *Lookup) clause.Expression {
	if !s.Dialect.ValuesFirst {
		return nil
	}
	if index := s.keyIndex(by.Fields(s.Model)); index != "" {
		return dialect.ByIndex(index)
	}
	return nil
}

// IndexOf is the index by which a part finds its rows. One row needs none: its key is a condition.
func (s *Site) IndexOf(by *Lookup, part Part) clause.Expression {
	if len(part) == 1 {
		return nil
	}
	return s.ByIndex(by)
}

// ForgetIndexes reports whether a statement failed because an index has been dropped since it was looked up: it may be sent again.
func (s *Site) ForgetIndexes(err error) bool {
	if err == nil || !s.Dialect.IsNoSuchIndex(err) {
		return false
	}
	s.Model.Indexes.Clear()
	return true
}

func (s *Site) keyIndex(fields []*schema.Field) string {
	columns := make([]string, len(fields))
	for i, field := range fields {
		columns[i] = field.DBName
	}
	if s.DB.DryRun {
		return dialect.PrimaryIndex
	}
	table := s.Scratch()
	table.WriteQuoted(clause.Table{Name: clause.CurrentTable})
	key := indexKey{table.SQL.String(), strings.Join(columns, ",")}
	if index, known := s.Model.Indexes.Load(key); known {
		return index.(string)
	}
	index, err := s.findIndex(columns)
	if err != nil { // the table has an alias, say: what most tables have may be there
		return dialect.PrimaryIndex
	}
	s.Model.Indexes.Store(key, index)
	return index
}

// findIndex asks the database for the index that finds most by columns.
func (s *Site) findIndex(columns []string) (best string, err error) {
	query := s.Scratch()
	_, _ = query.WriteString(dialect.IndexesOf)
	query.WriteQuoted(clause.Table{Name: clause.CurrentTable})
	err = s.ask(query.SQL.String(), func(found *sql.Rows) error {
		indexes, err := dialect.ScanIndexes(found)
		best = dialect.BestIndex(indexes, columns)
		return err
	}, query.Vars...)
	return best, err
}
