package occ

import (
	"strings"

	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/dialect"
)

// indexKey names the rows' key of a table among the indexes that have been looked up.
type indexKey struct{ table, columns string }

// byIndex has a statement that starts with values find the rows of the table by an index, which keeps it from reading, and
// locking, others. It is nil where the table has none that serves, or is no table.
func (w *site) byIndex() clause.Expression {
	if !w.dialect.ValuesFirst() {
		return nil
	}
	if index := w.keyIndex(); index != "" {
		return dialect.ByIndex(index)
	}
	return nil
}

// indexOf is the index by which a part finds its rows. One row needs none: its key is a condition.
func (w *site) indexOf(part batchPart) clause.Expression {
	if len(part) == 1 {
		return nil
	}
	return w.byIndex()
}

func (w *site) keyIndex() string {
	columns := make([]string, len(w.identityFields()))
	for i, field := range w.identityFields() {
		columns[i] = field.DBName
	}
	if w.db.DryRun {
		return dialect.PrimaryIndex
	}
	table := w.scratch()
	table.WriteQuoted(clause.Table{Name: clause.CurrentTable})
	key := indexKey{table.SQL.String(), strings.Join(columns, ",")}
	if index, known := w.model.indexes.Load(key); known {
		return index.(string)
	}
	index, err := w.findIndex(columns)
	if err != nil { // the table has an alias, say: what most tables have may be there
		return dialect.PrimaryIndex
	}
	w.model.indexes.Store(key, index)
	return index
}

// findIndex asks the database for the index that finds most by columns.
func (w *site) findIndex(columns []string) (string, error) {
	query := w.scratch()
	_, _ = query.WriteString(dialect.IndexesOf)
	query.WriteQuoted(clause.Table{Name: clause.CurrentTable})
	rows, err := unprepared(w.stmt.ConnPool).QueryContext(w.ctx, query.SQL.String(), query.Vars...)
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	indexes, err := dialect.ScanIndexes(rows)
	return dialect.BestIndex(indexes, columns), err
}
