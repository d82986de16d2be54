package kinds_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// partKind makes the models of a kind. It is a value and no type parameter, so that the tables of all kinds are compiled once.
type partKind struct {
	typ reflect.Type // of the struct
	g   func(db *gorm.DB, id uint, price int, clauses ...clause.Expression) error
}

func (k partKind) new() partOfKind { return reflect.New(k.typ).Interface().(partOfKind) }

// updatePrice writes the row of a key through gorm.G, or by the calls that gorm.G makes: its model is a struct by value.
func (k partKind) updatePrice(db *gorm.DB, id uint, price int, clauses ...clause.Expression) error {
	if k.g != nil {
		return k.g(db, id, price, clauses...)
	}
	return db.Clauses(clauses...).Model(valueOf(k.new())).Where("id = ?", id).Update("price", price).Error
}

func (k partKind) copy(m partOfKind) partOfKind {
	c := reflect.New(k.typ)
	c.Elem().Set(reflect.ValueOf(m).Elem())
	return c.Interface().(partOfKind)
}

// slice is a pointer to a slice of pointers to the kind's struct.
func (k partKind) slice(ms ...partOfKind) any {
	slice := reflect.New(reflect.SliceOf(reflect.PointerTo(k.typ)))
	for _, m := range ms {
		slice.Elem().Set(reflect.Append(slice.Elem(), reflect.ValueOf(m)))
	}
	return slice.Interface()
}

// valueOf is what a pointer points to.
func valueOf(pointer any) any { return reflect.ValueOf(pointer).Elem().Interface() }

// versionField is the field of a model as it stands.
func versionField(m partOfKind) reflect.Value {
	return reflect.ValueOf(m).Elem().FieldByName("Version")
}

// versionIn is a model's version in a form that compares.
func versionIn(m partOfKind) any { return plainVersion(versionField(m).Interface()) }

func (k partKind) newPart(t *testing.T, db *gorm.DB) partOfKind {
	t.Helper()
	m := k.new()
	m.part().Name, m.part().Price = "pen", 10
	require.NoError(t, db.Create(m).Error)
	return m
}

func (k partKind) stored(t *testing.T, db *gorm.DB, m partOfKind) partOfKind {
	t.Helper()
	row := k.new()
	require.NoError(t, db.Unscoped().First(row, m.part().ID).Error)
	return row
}

// byID is what a client's request makes of a row: its key alone.
func (k partKind) byID(m partOfKind) partOfKind {
	bare := k.new()
	bare.part().ID = m.part().ID
	return bare
}

// stalePair is a row that has been written since mine was read.
func (k partKind) stalePair(t *testing.T, db *gorm.DB) (mine, theirs partOfKind) {
	t.Helper()
	mine = k.newPart(t, db)
	theirs = k.stored(t, db, mine)
	require.NoError(t, db.Model(theirs).Update("price", 30).Error)
	return mine, theirs
}

// requireStored wants the row to have a price and the version that the model holds.
func (k partKind) requireStored(t *testing.T, db *gorm.DB, m partOfKind, wantPrice int) {
	t.Helper()
	row := k.stored(t, db, m)
	require.Equal(t, wantPrice, row.part().Price)
	require.Equal(t, versionIn(row), versionIn(m), "memory and row")
}
