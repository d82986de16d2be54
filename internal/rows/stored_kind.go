package rows

import (
	"database/sql"
	"fmt"
	"time"

	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/kind"
)

// NextKind is the model's kind of version for the version after current: that fits the table's column.
func (s *Site) NextKind(current any) kind.Kind { return s.kindFor(current, false) }

// NextAfter returns the version after another one, nil for that of a new row.
func (s *Site) NextAfter(version any) (next any, err error) {
	if next, err = s.NextKind(version).Next(s.Ctx, version); err != nil {
		return nil, fmt.Errorf("occ: model %s, field %s: no next version: %w", s.Model.Name, s.Model.Version.Name, err)
	}
	return next, nil
}

// SetNextAfter has a row take the version after another one, unless the database gives it.
func (s *Site) SetNextAfter(r *Row, version any) (err error) {
	if s.Model.Version.ByDatabase {
		return nil
	}
	r.Next, err = s.NextAfter(version)
	return err
}

// NextInSQL is the next version as an expression over the stored one; nil where SQL cannot make it.
func (s *Site) NextInSQL() clause.Expression {
	return s.kindFor(nil, true).NextInSQL(s.Model.Version.Column())
}

// IsSame reports whether two versions are the same one to the table's column; zero and NULL are.
func (s *Site) IsSame(a, b any) bool {
	if s.Model.Version.IsSameOrZero(a, b) {
		return true
	}
	return kind.MayBeSame(s.Dialect, a, b) && s.storedKind().IsSame(a, b)
}

// IsAhead reports whether version a is later than b to the table's column, which may start again at 1 before the model's type does.
func (s *Site) IsAhead(a, b any) bool {
	return s.Model.Version.Kind.IsAhead(a, b) && s.kindFor(nil, true).IsAhead(a, b)
}

func (s *Site) kindFor(current any, inSQL bool) kind.Kind {
	version := s.Model.Version
	if version.ByDatabase || s.DB.DryRun || !kind.DependsOnColumn(version.Kind, s.Dialect, current, inSQL) {
		return version.Kind
	}
	return s.storedKind()
}

// storedKind is the model's kind of version as the table's column holds it. The database is asked once for each table, and only
// where the answer matters.
func (s *Site) storedKind() kind.Kind {
	version := s.Model.Version
	name := s.tableName()
	if stored, known := s.Model.Stored.Load(name); known {
		return stored.(kind.Kind)
	}
	columnType, err := s.storedType()
	if err != nil { // the write itself is going to fail too
		return version.Kind
	}
	stored := version.Kind
	if columnType != "" { // a table that has an alias, say, is not found: the model's word has to do
		stored = kind.InColumn(stored, s.Dialect, columnType)
	}
	if clock, isTime := stored.(kind.Clock); isTime {
		stored = clock.InZone(s.zone())
	}
	s.Model.Stored.Store(name, stored)
	return stored
}

// storedType asks the database for the type of the column that the version is in.
func (s *Site) storedType() (columnType string, err error) {
	table, ok := s.table()
	if !ok {
		return "", nil
	}
	column := s.Model.Version.DBName
	err = s.ask(s.Dialect.TypeQuery(table, column), func(found *sql.Rows) (err error) {
		columnType, err = s.Dialect.ScanType(found, column)
		return err
	})
	return columnType, err
}

// zone is the one in which the driver writes times without their offset; nil where that is UTC.
func (s *Site) zone() (zone *time.Location) {
	query := s.Dialect.ZoneQuery()
	if query == "" {
		return nil
	}
	_ = s.ask(query, func(found *sql.Rows) (err error) {
		zone, err = dialect.ScanZone(found)
		return err
	})
	return zone
}

// tableName names the statement's table among those that have been asked about.
func (s *Site) tableName() string {
	if s.Stmt.TableExpr != nil {
		return s.Stmt.TableExpr.SQL
	}
	return s.Stmt.Table
}

func (s *Site) table() (dialect.Table, bool) {
	scratch := s.Scratch()
	scratch.WriteQuoted(clause.Table{Name: clause.CurrentTable})
	table, _, ok := dialect.TableIn(scratch.SQL.String())
	return table, ok
}

// IsPartitioned reports whether the statement's table is divided into partitions. PostgreSQL is asked once for each table.
func (s *Site) IsPartitioned() bool {
	name := s.tableName()
	if is, known := s.Model.Partitioned.Load(name); known {
		return is.(bool)
	}
	table, ok := s.table()
	if !ok {
		return false
	}
	is := false
	err := s.ask(s.Dialect.PartitionedQuery(table), func(found *sql.Rows) error {
		if !found.Next() {
			return sql.ErrNoRows
		}
		return found.Scan(&is)
	})
	if err == nil {
		s.Model.Partitioned.Store(name, is)
	}
	return is
}
