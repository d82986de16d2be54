package rows

import (
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// Stored reads the rows that are there, by key: the key and the given fields of each. What it is asked with decides
// whether the rows are locked.
func (s *Site) Stored(session *gorm.DB, rows []Row, fields []*schema.Field) (map[string]reflect.Value, error) {
	identity := s.IdentityFields()
	keyed, columns := []*Row{}, []clause.Column{}
	for i := range rows {
		if rows[i].Key != nil {
			keyed = append(keyed, &rows[i])
		}
	}
	if len(keyed) > 0 {
		if err := s.LockFirst(); err != nil {
			return nil, err
		}
	}
	session = session.Session(&gorm.Session{})
	for _, field := range slices.Concat(identity, fields) {
		columns = append(columns, clause.Column{Table: clause.CurrentTable, Name: field.DBName})
	}
	stored := map[string]reflect.Value{}
	for part := range slices.Chunk(InKeyOrder(keyed), MaxKeys) {
		found := reflect.New(reflect.SliceOf(s.Model.ModelType))
		tx := s.WithKeys(session.Clauses(clause.Select{Columns: columns}), part)
		tx.Statement.ConnPool = Unprepared(tx.Statement.ConnPool)
		if err := tx.Find(found.Interface()).Error; err != nil {
			return nil, err
		}
		for i := range found.Elem().Len() {
			model := found.Elem().Index(i)
			stored[s.KeyText(model, identity)] = model
		}
	}
	return stored, nil
}

// WithKeys has a query read the rows that have the keys: by a list of them, or by a table of them where a list may lock
// more.
func (s *Site) WithKeys(tx *gorm.DB, rows []*Row) *gorm.DB {
	if s.Dialect.ValuesFirst() && len(rows) > 1 {
		columns := s.KeyColumns()
		return s.fromValues(tx, s.Split(columns, rows, 0)[0], columns)
	}
	keys, columns := make([]any, len(rows)), []clause.Column{}
	for i, r := range rows {
		keys[i] = r.Key
	}
	for _, field := range s.IdentityFields() {
		columns = append(columns, clause.Column{Table: clause.CurrentTable, Name: field.DBName})
	}
	return tx.Where(clause.IN{Column: columns, Values: keys}).Clauses(clause.Where{Exprs: s.Target})
}

// MaxKeys is how many keys a query names at most; databases limit parameters.
const MaxKeys = 1000
