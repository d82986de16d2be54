package read

import (
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
	"gorm.io/gorm/utils"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/hot"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/snapshot"
	"github.com/gorm-occ/occ/internal/tx"
)

// Reader is what happens to queries: models take their snapshots, and reads of Retry lock.
type Reader struct {
	Face conflict.Face
	Hot  hot.HotRows
	*model.Models
	*tx.Journals
	Dialect *dialect.Dialect
	Query   func(*gorm.DB) // GORM's own callback
}

// Load is GORM's query, which also gives models their snapshots, before any hook sees them. A model's fields do not show
// what is stored: NULL reads as zero, and JSON loses its spaces. So the driver's values are recorded while GORM scans them.
func (r *Reader) Load(db *gorm.DB) {
	if db.Error != nil || db.DryRun || db.Statement.Schema == nil {
		r.Query(db)
		return
	}
	loading := r.beginLoading(db.Statement)
	if takers := r.snapshotTakers(db.Statement); len(takers) == 0 {
		r.Query(db)
	} else if callbacks.BuildQuerySQL(db); db.Error == nil {
		r.loadRecording(db, takers)
	}
	if loading != nil {
		loading.end()
	}
}

// loadRecording sends a query and scans what it gives as GORM does, and records the driver's values.
func (r *Reader) loadRecording(db *gorm.DB, takers []*snapshotTaker) {
	stmt := db.Statement
	rows, err := stmt.ConnPool.QueryContext(stmt.Context, stmt.SQL.String(), stmt.Vars...)
	if db.AddError(err) != nil {
		return
	}
	defer func() { _ = db.AddError(rows.Close()) }()
	recorded, err := r.newRecording(rows, stmt, takers)
	if db.AddError(err) != nil {
		return
	}
	gorm.Scan(recorded, db, 0)
	if stmt.Result != nil {
		stmt.Result.RowsAffected = db.RowsAffected
	}
	recorded.give(db)
}

// snapshotTaker is a model that a query fills: the one it is about or, through Joins, a relation of it.
type snapshotTaker struct {
	plan   *snapshot.Plan
	prefix string          // of its columns in the result
	path   []*schema.Field // from the model that the query is about
	known  func(column string) bool
	at     []int    // where the plan's columns are in the result; -1 where they are not, or are not certain to be
	types  []string // of the plan's columns
}

func (r *Reader) snapshotTakers(stmt *gorm.Statement) (takers []*snapshotTaker) {
	plan := r.ModelOfSchema(stmt.Schema).Snapshot
	if plan == nil && len(stmt.Joins) == 0 || !holdsModels(stmt) {
		return nil
	}
	if plan != nil {
		takers = append(takers, &snapshotTaker{plan: plan, known: readsStored(stmt)})
	}
	for _, join := range stmt.Joins {
		takers = r.addJoined(takers, stmt.Schema, join.Name, join.Alias)
	}
	return takers
}

// holdsModels reports whether a query is into models of its own type: not a count, not a smaller struct, not a map.
func holdsModels(stmt *gorm.Statement) bool {
	if !stmt.ReflectValue.IsValid() {
		return false
	}
	t := stmt.ReflectValue.Type()
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
		t = t.Elem()
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
	}
	return t == stmt.Schema.ModelType
}

// addJoined adds the relations that Joins("Company.Owner") loads; raw joins load none.
func (r *Reader) addJoined(takers []*snapshotTaker, s *schema.Schema, name, alias string) []*snapshotTaker {
	var path []*schema.Field
	names := strings.Split(name, ".")
	for i, part := range names {
		relation, ok := s.Relationships.Relations[part]
		if !ok {
			return takers
		}
		s, path = relation.FieldSchema, append(path, relation.Field)
		plan := r.ModelOfSchema(s).Snapshot
		if plan == nil {
			continue
		}
		prefix := utils.JoinNestedRelationNames(names[:i+1])
		if alias != "" && i == len(names)-1 {
			prefix = alias
		}
		taken := func(t *snapshotTaker) bool { return t.prefix == prefix }
		if !slices.ContainsFunc(takers, taken) {
			takers = append(takers, &snapshotTaker{plan: plan, prefix: prefix, path: slices.Clone(path), known: anyColumn})
		}
	}
	return takers
}

func anyColumn(string) bool { return true }

func noColumn(string) bool { return false }

// readsStored returns a predicate for the columns of which a query certainly gives what is stored. SQL is not parsed: in a SELECT
// of the caller's own, "price" can be anything.
func readsStored(stmt *gorm.Statement) func(column string) bool {
	from, _ := stmt.Clauses["FROM"].Expression.(clause.From)
	switch table := stmt.TableExpr; {
	case stmt.SQL.Len() > 0, stmt.Clauses["SELECT"].Expression != nil, len(from.Tables) > 0:
		return noColumn
	case table != nil && (len(table.Vars) > 0 || strings.ContainsRune(table.SQL, '(')):
		return noColumn
	case len(stmt.Selects) == 0:
		return anyColumn
	}
	var named []string
	for _, selected := range stmt.Selects {
		if field := stmt.Schema.LookUpField(selected); field != nil {
			named = append(named, field.DBName)
			continue
		}
		if strings.ContainsAny(selected, "()'") {
			continue
		}
		for item := range strings.SplitSeq(selected, ",") {
			named = append(named, strings.TrimPrefix(strings.TrimSpace(item), stmt.Table+"."))
		}
	}
	if slices.Contains(named, "*") {
		return anyColumn
	}
	return func(column string) bool { return slices.Contains(named, column) }
}

// recordingRows wraps a query's rows and keeps the driver's raw values as GORM scans them.
type recordingRows struct {
	gorm.Rows
	takers []*snapshotTaker
	kept   []rows.SeenValue // by column of the result
	dest   []any            // pointers to kept, or unused
	rows   [][][]any        // by row and taker: values by column of the plan
}

func (r *Reader) newRecording(hand gorm.Rows, stmt *gorm.Statement, takers []*snapshotTaker) (*recordingRows, error) {
	columns, err := hand.Columns()
	if err != nil {
		return nil, err
	}
	types, err := hand.ColumnTypes()
	if err != nil {
		return nil, err
	}
	columns = slices.Clone(columns)
	for i, column := range columns {
		if mapped, ok := stmt.ColumnMapping[column]; ok {
			columns[i] = mapped
		}
	}
	w := &recordingRows{Rows: hand, takers: takers, kept: make([]rows.SeenValue, len(columns)), dest: make([]any, len(columns))}
	for i := range w.dest {
		w.dest[i] = unused{}
	}
	for _, taker := range takers {
		taker.locate(columns)
		taker.types = make([]string, len(taker.at))
		for column, at := range taker.at {
			if at >= 0 {
				taker.types[column] = types[at].DatabaseTypeName()
				w.kept[at], w.dest[at] = rows.SeenValue{Dialect: r.Dialect, ColumnType: taker.types[column]}, &w.kept[at]
			}
		}
	}
	return w, nil
}

// locate finds the plan's columns in the result. One that is there twice could be either.
func (t *snapshotTaker) locate(columns []string) {
	t.at = make([]int, len(t.plan.Columns))
	for i, name := range t.plan.Columns {
		known := t.known(name)
		if t.prefix != "" {
			name = utils.NestedRelationName(t.prefix, name)
		}
		t.at[i] = slices.Index(columns, name)
		if !known || t.at[i] >= 0 && slices.Contains(columns[t.at[i]+1:], name) {
			t.at[i] = -1
		}
	}
}

// unused is a value of a column that no snapshot has.
type unused struct{}

// Scan implements sql.Scanner.
func (unused) Scan(any) error { return nil }

// Scan gives GORM the row, and then has the driver give it once more as it is.
func (r *recordingRows) Scan(dest ...any) error {
	if err := r.Rows.Scan(dest...); err != nil {
		return err
	}
	if err := r.Rows.Scan(r.dest...); err != nil {
		return err
	}
	row := make([][]any, len(r.takers))
	for i, taker := range r.takers {
		row[i] = taker.valuesOf(r.kept)
	}
	r.rows = append(r.rows, row)
	return nil
}

func (t *snapshotTaker) valuesOf(kept []rows.SeenValue) []any {
	values := make([]any, len(t.at))
	for column, at := range t.at {
		values[column] = snapshot.NotLoaded{}
		if at >= 0 {
			values[column] = kept[at].Value
		}
	}
	return values
}

// give gives the models that GORM has filled the values of their rows, which are in the same order.
func (r *recordingRows) give(db *gorm.DB) {
	models := db.Statement.ReflectValue
	if db.Error != nil {
		return
	}
	for i, row := range r.rows {
		model := models
		if models.Kind() != reflect.Struct {
			if i >= models.Len() {
				return
			}
			model = reflect.Indirect(models.Index(i))
		}
		for j, taker := range r.takers {
			taker.give(db, model, row[j])
		}
	}
}

func (t *snapshotTaker) give(db *gorm.DB, model reflect.Value, values []any) {
	ctx := db.Statement.Context
	for _, relation := range t.path {
		model = relation.ReflectValueOf(ctx, model)
		if model.Kind() == reflect.Pointer {
			if model.IsNil() {
				return
			}
			model = model.Elem()
		}
	}
	if len(t.at) > 0 && !slices.ContainsFunc(t.at, func(at int) bool { return at >= 0 }) {
		t.plan.Put(model, nil) // whatever it held was of another row, or is no longer
		return
	}
	image := &snapshot.Image{Columns: t.plan.Columns, Types: t.types, Values: values, Key: t.plan.KeyOf(ctx, model)}
	t.plan.Put(model, image)
}
