package rows

import (
	"database/sql"

	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/dialect"
)

// TakesArrays reports whether the values of a batch can be arrays, as far as the columns of the table go.
func (s *Site) TakesArrays(fields ...*schema.Field) bool {
	elements := s.elements()
	if len(elements) == 0 {
		return false
	}
	for _, field := range fields {
		if elements[field.DBName] == dialect.NoElement {
			return false
		}
	}
	return true
}

// elements returns what the columns of the table take as elements of arrays; nil where that is not known. The database is asked
// once for each table.
func (s *Site) elements() map[string]dialect.Element {
	if !s.Dialect.TakesArrays {
		return nil
	}
	if s.DB.DryRun {
		return s.declaredElements()
	}
	name := s.tableName()
	if known, ok := s.Model.Elements.Load(name); ok {
		return known.(map[string]dialect.Element)
	}
	elements, err := s.findElements()
	if err != nil { // the write itself is going to fail too
		return nil
	}
	s.Model.Elements.Store(name, elements)
	return elements
}

func (s *Site) findElements() (elements map[string]dialect.Element, err error) {
	table, ok := s.table()
	if !ok {
		return nil, nil
	}
	err = s.ask(s.Dialect.ElementsQuery(table), func(found *sql.Rows) (err error) {
		elements, err = dialect.ScanElements(found)
		return err
	}, "")
	return elements, err
}

// declaredElements returns what the columns take that a migration makes of the model.
func (s *Site) declaredElements() map[string]dialect.Element {
	elements := make(map[string]dialect.Element, len(s.Model.DBNames))
	for name, field := range s.Model.FieldsByDBName {
		elements[name] = dialect.ElementOf(s.DB.Dialector.DataTypeOf(field))
	}
	return elements
}

// ForgetElements is for a statement that failed: where a column is of another type than it was, the database is asked again.
func (s *Site) ForgetElements(err error) {
	if err != nil && s.Dialect.IsOtherType(err) {
		s.Model.Elements.Clear()
	}
}
