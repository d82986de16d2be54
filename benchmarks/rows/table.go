package rows

import (
	"fmt"
	"reflect"

	"gorm.io/gorm"
)

// Shape is one kind of row.
type Shape int

// The shapes: five columns, thirty columns, five with GORM's default string, four without a version.
const (
	OfItem Shape = iota
	OfWide
	OfLong
	OfPlain
)

// Table is the rows of a shape in one database, as the judge sees them: read and written without any peer.
type Table interface {
	Create() error
	// Refill leaves the table with rows 1 to n as write 0 made them, at version 1.
	Refill(n int) error
	// Disturb has somebody else write a row: its price becomes -1 and its version one more.
	Disturb(id int) error
	// Check tells what is not as wanted of rows first to last.
	Check(first, last int, want Want) error
}

// Want is what rows should look like.
type Want struct {
	Gone    bool  // no such rows
	Write   int64 // all columns are as this write filled them
	Price   int64 // but for the price
	Version int64 // not looked at where the rows have none
}

// NewTable gives the table of a shape. The judge's db has no plugin.
func NewTable(judge *gorm.DB, shape Shape) Table {
	switch shape {
	case OfWide:
		return table[Wide[int64], *Wide[int64]]{judge}
	case OfLong:
		return table[Long[int64], *Long[int64]]{judge}
	case OfPlain:
		return table[Plain, *Plain]{judge}
	default:
		return table[Item[int64], *Item[int64]]{judge}
	}
}

// Model is a pointer to a row whose version is a V.
type Model[M, V any] interface {
	*M
	Key() *int64
	SetPrice(write int64)
	Fill(write int64)
	Current() *V
}

type table[M comparable, P Model[M, int64]] struct{ db *gorm.DB }

const insertAtOnce = 500

func (t table[M, P]) Create() error { return t.db.AutoMigrate(new(M)) }

func (t table[M, P]) Refill(n int) error {
	if err := t.empty(); err != nil || n == 0 {
		return err
	}
	made := make([]M, n)
	for i := range made {
		made[i] = t.row(i+1, Want{Version: 1})
	}
	return t.db.CreateInBatches(made, insertAtOnce).Error
}

// empty leaves no dead rows behind where the database can do that.
func (t table[M, P]) empty() error {
	if t.db.Name() == "sqlite" {
		return t.db.Session(&gorm.Session{AllowGlobalUpdate: true}).Delete(new(M)).Error
	}
	stmt := &gorm.Statement{DB: t.db}
	if err := stmt.Parse(new(M)); err != nil {
		return err
	}
	return t.db.Exec("TRUNCATE TABLE " + stmt.Quote(stmt.Schema.Table)).Error
}

func (t table[M, P]) Disturb(id int) error {
	set := map[string]any{"price": -1}
	if P(new(M)).Current() != nil {
		set["version"] = gorm.Expr("version + 1")
	}
	return t.db.Model(new(M)).Where("id = ?", id).Updates(set).Error
}

func (t table[M, P]) Check(first, last int, want Want) error {
	var stored []M
	if err := t.db.Where("id BETWEEN ? AND ?", first, last).Order("id").Find(&stored).Error; err != nil {
		return err
	}
	var wanted []M
	for id := first; id <= last && !want.Gone; id++ {
		wanted = append(wanted, t.row(id, want))
	}
	return difference(stored, wanted)
}

func (t table[M, P]) row(id int, want Want) M {
	var row M
	*P(&row).Key() = int64(id)
	P(&row).Fill(want.Write)
	P(&row).SetPrice(want.Price)
	if version := P(&row).Current(); version != nil {
		*version = want.Version
	}
	return row
}

func difference[M comparable](stored, wanted []M) error {
	if len(stored) != len(wanted) {
		return fmt.Errorf("%d rows are stored, not %d", len(stored), len(wanted))
	}
	for i := range stored {
		if stored[i] != wanted[i] {
			return columnDifference(reflect.ValueOf(stored[i]), reflect.ValueOf(wanted[i]))
		}
	}
	return nil
}

// columnDifference names the first column that is not as wanted.
func columnDifference(stored, wanted reflect.Value) error {
	for i := range stored.NumField() {
		if is, want := stored.Field(i).Interface(), wanted.Field(i).Interface(); is != want {
			return fmt.Errorf("%s of row %v is %v, not %v", stored.Type().Field(i).Name, stored.FieldByName("ID"), is, want)
		}
	}
	return nil
}
