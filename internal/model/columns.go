package model

import (
	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/value"
)

// Columns are the fields of the model that are stored, in order.
func (m *Model) Columns() []value.Column {
	columns := make([]value.Column, 0, len(m.DBNames))
	for _, name := range m.DBNames {
		columns = append(columns, value.Column{Field: m.FieldsByDBName[name]})
	}
	return columns
}

// IsMerged reports whether a merge may take the column from mine.
func (m *Model) IsMerged(c value.Column) bool {
	isVersion := m.Version != nil && c.Field == m.Version.Field
	return c.Updatable && !c.PrimaryKey && !isVersion && !kind.IsUnversioned(c.Field) && c.AutoCreateTime == 0 && c.AutoUpdateTime == 0
}
