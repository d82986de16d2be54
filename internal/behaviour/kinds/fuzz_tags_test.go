package kinds_test

import (
	"database/sql"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// taggedTypes are the types of a field that is given tags which a fuzzer makes up.
var taggedTypes = []reflect.Type{
	reflect.TypeFor[int64](), reflect.TypeFor[occ.Version](), reflect.TypeFor[int8](), reflect.TypeFor[uint16](),
	reflect.TypeFor[*int64](), reflect.TypeFor[sql.NullInt32](), reflect.TypeFor[string](), reflect.TypeFor[uuid.UUID](),
	reflect.TypeFor[bareID](), reflect.TypeFor[time.Time](), reflect.TypeFor[*time.Time](), reflect.TypeFor[float64](),
	reflect.TypeFor[bool](), reflect.TypeFor[[]byte](), reflect.TypeFor[gorm.DeletedAt](), reflect.TypeFor[Envelope](),
	reflect.TypeFor[hiddenNumber](), reflect.TypeFor[any](), reflect.TypeFor[[]int](),
}

// declare makes a model with a field V of a type, tagged.
func declare(typ reflect.Type, textTag, tag string) reflect.Type {
	gormTag := func(tag string) reflect.StructTag { return reflect.StructTag("gorm:" + strconv.Quote(tag)) }
	return reflect.StructOf([]reflect.StructField{
		{Name: "ID", Type: reflect.TypeFor[uint](), Tag: gormTag("primaryKey")},
		{Name: "Text", Type: reflect.TypeFor[string](), Tag: gormTag(textTag)},
		{Name: "V", Type: typ, Tag: gormTag(tag)},
	})
}

// unnamed opens the database of db for models without a name, without and with the plugin.
func unnamed(t testing.TB, db *gorm.DB) (plain, versioned *gorm.DB) {
	config := gorm.Config{NamingStrategy: schema.NamingStrategy{TablePrefix: "unnamed"}}
	return Reopen(t, db, config), Reopen(t, db, config, occ.New())
}

// worksInGORM reports whether GORM by itself can store a declaration and read it again.
func worksInGORM(db *gorm.DB, typ reflect.Type) (works bool) {
	defer func() { works = recover() == nil && works }()
	model := reflect.New(typ)
	if db.Migrator().DropTable(model.Interface()) != nil || db.AutoMigrate(model.Interface()) != nil {
		return false
	}
	model.Elem().FieldByName("Text").SetString("a")
	err := db.Create(model.Interface()).Error
	if err == nil {
		err = db.First(reflect.New(typ).Interface()).Error
	}
	return err == nil && db.Where("1 = 1").Delete(reflect.New(typ).Interface()).Error == nil
}

// isDeclaredVersion reports whether there is a version among the columns, going by GORM's word for how they are declared.
func isDeclaredVersion(db *gorm.DB, typ reflect.Type) (isVersion, byDatabase bool) {
	stmt := &gorm.Statement{DB: db}
	if stmt.Parse(reflect.New(typ).Interface()) != nil {
		return false, false
	}
	for _, field := range stmt.Schema.Fields {
		ignored := strings.ToLower(strings.TrimSpace(field.TagSettings["-"]))
		if field.DBName == "" || ignored == "-" || ignored == "all" {
			continue
		}
		kind, tagged := field.TagSettings["VERSION"]
		isVersion = isVersion || tagged || field.FieldType == reflect.TypeFor[occ.Version]()
		byDatabase = byDatabase || kind == "database"
	}
	return isVersion, byDatabase
}

// checkTag requires that a tag either has versions compared or is an error that names the field, and that a field which
// is no version is left alone.
func checkTag(t *testing.T, db *gorm.DB, typ reflect.Type) {
	plain, versioned := unnamed(t, db)
	if !worksInGORM(plain, typ) {
		return
	}
	tagged, byDatabase := isDeclaredVersion(plain, typ)
	newModel := func() any { return reflect.New(typ).Interface() }
	mine, theirs := newModel(), newModel()
	reflect.ValueOf(mine).Elem().FieldByName("Text").SetString("a")
	for _, step := range []func() error{
		func() error { return versioned.Create(mine).Error },
		func() error { return versioned.First(theirs).Error },
		func() error { return versioned.Model(mine).Update("Text", "b").Error },
	} {
		if err := step(); err != nil { // the plugin's says where, another is the database's, whose column is of another type
			require.Regexp(t, "(?s)^(occ: model .*field|[^o]|o[^c])", err.Error(), typ)
			return
		}
	}
	err := versioned.Model(theirs).Update("Text", "c").Error
	if byDatabase {
		return // and there is nothing in this database that would write it
	}
	stored := newModel()
	require.NoError(t, versioned.First(stored).Error, typ)
	text := reflect.ValueOf(stored).Elem().FieldByName("Text").String()
	if tagged {
		require.ErrorIs(t, err, occ.ErrStaleData, typ)
		require.Equal(t, "b", text, typ)
		return
	}
	require.NoError(t, err, typ)
	require.Equal(t, "c", text, typ)
}

func tagSeeds() (tags []string) {
	kinds := []string{"version", "VERSION", " version ", "version:", "version:counter", "version:time", "version:uuid", "version:database",
		"version:Counter", "version: counter", "version:nosuch", "version:version", "version:mine", "versions", "aversion", ""}
	with := []string{"", ";", ";;", ";column:v", ";column:Text", ";column:text", ";column:id", ";column:", ";-", ";-:all", ";-:migration", ";-:other",
		";->", ";<-", ";<-:create", ";<-:false", ";->:false;<-:create", ";embedded", ";embeddedPrefix:x_", ";precision:3", ";precision:-1", ";size:1", ";size:2",
		";size:7", ";size:-8", ";size:9999999", ";size:x", ";type:text", ";type:bigint", ";type:blob", ";type:date", ";type:bigint unsigned", ";default:0",
		";default:5", ";default:(-)", ";default:null", ";default:abc", ";not null", ";unique", ";index", ";primaryKey", ";autoIncrement", ";autoUpdateTime",
		";autoUpdateTime:nano", ";autoCreateTime:milli", ";serializer:json", ";serializer:unixtime", ";touch", ";unversioned", ";token", ";snapshot",
		";snapshot:dirty", ";version:time", ";comment:a;b", ";check:v > 0", ";foreignKey:ID", ";polymorphic:V"}
	for i, kind := range kinds {
		tags = append(tags, kind)
		for j, other := range with {
			if i == 0 || (i+j)%5 == 0 {
				tags = append(tags, kind+other, strings.TrimPrefix(other, ";")+";"+kind)
			}
		}
	}
	return tags
}

// FuzzVersionTag declares a version with any tag on a field of any type.
func FuzzVersionTag(f *testing.F) {
	for i, tag := range tagSeeds() {
		f.Add(uint8(0), tag)
		f.Add(uint8(i%len(taggedTypes)), tag)
	}
	f.Add(uint8(15), "emBedded") // a struct that declares one itself
	db := testdb.One(f, "sqlite").Open(f)
	f.Fuzz(func(t *testing.T, typ uint8, tag string) {
		checkTag(t, db, declare(taggedTypes[int(typ)%len(taggedTypes)], "", tag))
	})
}

// TestTagsOfEveryType has each type tagged in the ways that matter, on the databases whose columns have types.
func TestTagsOfEveryType(t *testing.T) {
	t.Parallel()
	for _, database := range Only("postgres", "mariadb") {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			db := database.Open(t)
			for _, typ := range taggedTypes {
				for _, tag := range []string{"version", "version;size:2", "version;unversioned", "version;autoUpdateTime", "version;default:5"} {
					t.Run(fmt.Sprint(typ, " ", tag), func(t *testing.T) { checkTag(t, db, declare(typ, "", tag)) })
				}
			}
		})
	}
}
