package rows

import (
	"database/sql"
	"reflect"
	"slices"

	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/snapshot"
)

// SeenValue is a value of the row that is being read.
type SeenValue struct {
	Dialect    *dialect.Dialect
	ColumnType string
	Value      any
}

// Scan implements sql.Scanner.
func (v *SeenValue) Scan(value any) error {
	v.Value = v.Dialect.Keep(v.ColumnType, value)
	return nil
}

// VersionColumns are what a query selects to learn the versions of rows: one column, or all that a snapshot has, and the key.
func (s *Site) VersionColumns() (columns []clause.Expression) {
	for _, name := range s.VersionNames() {
		column := clause.Column{Table: clause.CurrentTable, Name: name}
		columns = append(columns, clause.Expr{SQL: "?", Vars: []any{column}})
	}
	return columns
}

func (s *Site) VersionNames() []string {
	if plan := s.Model.Compares(); plan != nil {
		return slices.Concat(plan.Columns, s.Model.PrimaryFieldDBNames)
	}
	if s.Model.Version == nil {
		return nil
	}
	return []string{s.Model.Version.DBName}
}

// VersionScan takes the version of one row out of a query that selects versionColumns first.
type VersionScan struct {
	site    *Site
	targets []any
	seen    []SeenValue
}

func (s *Site) NewVersionScan() *VersionScan {
	plan := s.Model.Compares()
	switch {
	case s.Model.Version == nil:
		return &VersionScan{site: s}
	case plan == nil:
		return &VersionScan{site: s, targets: []any{s.Model.Version.NewValuePool.Get()}}
	}
	scan := &VersionScan{site: s, seen: make([]SeenValue, len(plan.Columns))}
	for i := range scan.seen {
		scan.seen[i].Dialect = s.Dialect
		scan.targets = append(scan.targets, &scan.seen[i])
	}
	for _, key := range plan.Keys {
		scan.targets = append(scan.targets, key.NewValuePool.Get())
	}
	return scan
}

// Scan reads the row, with further values behind the version.
func (s *VersionScan) Scan(rows *sql.Rows, others ...any) error {
	if len(s.seen) > 0 {
		types, err := rows.ColumnTypes()
		if err != nil {
			return err
		}
		for i := range s.seen {
			s.seen[i].ColumnType = types[i].DatabaseTypeName()
		}
	}
	return rows.Scan(append(slices.Clip(s.targets), others...)...)
}

func (s *VersionScan) Value() (any, error) {
	site, plan := s.site, s.site.Model.Compares()
	switch {
	case site.Model.Version == nil:
		return nil, nil
	case plan == nil:
		return site.Model.Version.Scanned(site.Ctx, s.targets[0])
	}
	image := &snapshot.Image{Columns: plan.Columns}
	for _, seen := range s.seen {
		image.Types, image.Values = append(image.Types, seen.ColumnType), append(image.Values, seen.Value)
	}
	model := reflect.New(site.Model.ModelType).Elem()
	for i, key := range plan.Keys {
		value := s.targets[len(s.seen)+i]
		if err := key.Set(site.Ctx, model, value); err != nil {
			return nil, err
		}
		key.NewValuePool.Put(value)
	}
	image.Key = plan.KeyOf(site.Ctx, model)
	return image, nil
}
