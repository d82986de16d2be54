package kinds_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// columnTag names a column in a tag; a semicolon would end it.
func columnTag(name string) string { return "column:" + strings.ReplaceAll(name, ";", "") }

// typeNamed makes a model whose version and text are in columns of any name.
func typeNamed(version, text string) reflect.Type {
	return declare(reflect.TypeFor[int64](), columnTag(text), "version;"+columnTag(version))
}

// namedRow is one row of such a model.
type namedRow struct {
	db  *gorm.DB
	typ reflect.Type
}

// isReadByGORM tells columns apart from those that GORM does not find in a result, for the quotes in their names.
func isReadByGORM(t *testing.T, db *gorm.DB, typ reflect.Type) bool {
	stored, read := reflect.New(typ), reflect.New(typ)
	stored.Elem().Set(reflect.ValueOf(struct {
		ID   uint
		Text string
		V    int64
	}{1, "a", 7}).Convert(typ))
	if db.Create(stored.Interface()).Error != nil || db.First(read.Interface()).Error != nil {
		return false
	}
	require.NoError(t, db.Where("1 = 1").Delete(reflect.New(typ).Interface()).Error)
	return reflect.DeepEqual(stored.Interface(), read.Interface())
}

func (n *namedRow) load(t *testing.T) any {
	t.Helper()
	model := reflect.New(n.typ).Interface()
	require.NoError(t, n.db.First(model).Error, n.typ)
	return model
}

func (n *namedRow) blank() any { return reflect.New(n.typ).Interface() }

func (n *namedRow) version(model any) int64 {
	return reflect.ValueOf(model).Elem().FieldByName("V").Int()
}

// slice holds a model and the same one again, as Save and Delete take them.
func (n *namedRow) slice(model any) any {
	models := reflect.MakeSlice(reflect.SliceOf(n.typ), 0, 1)
	slice := reflect.New(models.Type())
	slice.Elem().Set(reflect.Append(models, reflect.ValueOf(model).Elem()))
	return slice.Interface()
}

// namedWrites are the ways in which a version gets into a statement. Each of them writes the row once.
var namedWrites = []func(n *namedRow, db *gorm.DB, model any) error{
	func(n *namedRow, db *gorm.DB, model any) error { return db.Model(model).Update("Text", "b").Error },
	func(n *namedRow, db *gorm.DB, model any) error { return db.Save(model).Error },
	func(n *namedRow, db *gorm.DB, model any) error { return db.Save(n.slice(model)).Error },
	func(n *namedRow, db *gorm.DB, model any) error {
		return db.Model(n.blank()).Where("id = ?", 1).Clauses(occ.Expect(n.version(model))).Update("Text", "b").Error
	},
	func(n *namedRow, db *gorm.DB, model any) error {
		return db.Model(n.slice(model)).Update("Text", "b").Error
	},
	func(n *namedRow, db *gorm.DB, model any) error { return occ.Touch(db, model) },
}

// checkColumn requires that every write of a version in a column of any name is compared and advances it.
func checkColumn(t *testing.T, db *gorm.DB, version, text string) {
	typ := typeNamed(version, text)
	plain, versioned := unnamed(t, db)
	if !worksInGORM(plain, typ) || !isReadByGORM(t, plain, typ) {
		return
	}
	n := &namedRow{db: versioned, typ: typ}
	first := n.blank()
	require.NoError(t, versioned.Create(first).Error, typ)
	require.NoError(t, plain.Model(n.blank()).Where("1 = 1").Update("ID", 1).Error, typ)
	for i, write := range namedWrites {
		mine, theirs := n.load(t), n.load(t)
		require.NoError(t, write(n, versioned, mine), "%d: %v", i, typ)
		require.Equal(t, n.version(theirs)+1, n.version(n.load(t)), "%d: %v", i, typ)
		require.ErrorIs(t, write(n, versioned, theirs), occ.ErrStaleData, "%d: %v", i, typ)
		require.Equal(t, n.version(theirs)+1, n.version(n.load(t)), "%d: %v", i, typ)
	}
	checkUncompared(t, n)
	last := n.load(t)
	require.NoError(t, versioned.Delete(n.slice(last)).Error, typ)
}

// checkUncompared requires that what is not compared advances the version too.
func checkUncompared(t *testing.T, n *namedRow) {
	for i, write := range []func() error{
		func() error { return n.db.Model(n.blank()).Where("1 = 1").Update("Text", "c").Error },
		func() error { return n.db.Model(n.load(t)).Clauses(occ.Unchecked()).Update("Text", "d").Error },
	} {
		before := n.version(n.load(t))
		require.NoError(t, write(), "%d: %v", i, n.typ)
		require.Equal(t, before+1, n.version(n.load(t)), "%d: %v", i, n.typ)
	}
}

func columnNames() []string {
	return []string{
		"version", "order", "select", "ver sion", " v", "v ", `"v"`, `v"v`, "`v`", "v`v", "v.v", "[v]", "v?v", "?", "v%v", "%s", "@name", "@v", "$1", ":v",
		"версия", "版本", "v\u0301", "💥", "V", "ID2", "v'v", `v\v`, "--v", "/*v*/", "NULL", "*", "now()", "(v)", "v,v", "v=1", "1", "0", "v\tv", "v\nv",
		"id", "text", "", strings.Repeat("v", 63), strings.Repeat("v", 64), strings.Repeat("版", 21), "{{v}}", "~~~ct~~~", "~~~py~~~", "excluded", "rowid",
	}
}

// FuzzColumnName has version and text in columns of any names.
func FuzzColumnName(f *testing.F) {
	for i, name := range columnNames() {
		f.Add(name, "text")
		f.Add("version", name)
		f.Add(name, columnNames()[(i+7)%len(columnNames())])
	}
	db := testdb.One(f, "sqlite").Open(f)
	f.Fuzz(func(t *testing.T, version, text string) { checkColumn(t, db, version, text) })
}

// TestColumnNames runs the names where they are quoted in another way.
func TestColumnNames(t *testing.T) {
	t.Parallel()
	for _, database := range Only("postgres", "postgres simple protocol", "mariadb") {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			db := database.Open(t)
			for _, name := range testdb.Some(columnNames(), 5) {
				checkColumn(t, db, name, "text")
			}
		})
	}
}
