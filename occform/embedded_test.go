package occform_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/occform"
)

// Address is embedded by pointer: its columns are NULL where there is none. With a pointer or a time among them, GORM would load
// a struct of zero values.
type Address struct {
	City  string `gorm:"size:40"`
	Zip   int
	Open  bool
	Floor int
}

type Visitor struct {
	ID      uint
	Name    string   `gorm:"size:40"`
	Home    *Address `gorm:"embedded;embeddedPrefix:home_"`
	Version occ.Version
}

var addressFields = []string{"Name", "Home.City", "home_zip", "Home.Open"}

// asShown is what a browser sends of a form that shows an address that is NULL, with a hidden "false" before the box.
func asShown() url.Values {
	return url.Values{"Name": {"Ann"}, "Home.City": {""}, "home_zip": {""}, "Home.Open": {"false"}}
}

// visit is what comes of a form that shows an address that is NULL.
func visit(t *testing.T, db *gorm.DB, sent url.Values) (shown Visitor, e *occform.Edit[Visitor]) {
	t.Helper()
	require.NoError(t, db.AutoMigrate(&Visitor{}))
	shown = Visitor{Name: "Ann"}
	require.NoError(t, db.Create(&shown).Error)
	hidden, err := occform.Hidden(db, &shown, addressFields...)
	require.NoError(t, err)
	e, err = occform.Parse[Visitor](db, post(hidden, sent), addressFields...)
	require.NoError(t, err)
	return shown, e
}

// homeOf returns the columns of the address of a visitor as they are stored.
func homeOf(t *testing.T, db *gorm.DB, id uint) (city *string, zip, floor *int, open *bool) {
	t.Helper()
	row := db.Table("visitors").Select("home_city", "home_zip", "home_floor", "home_open").Where("id = ?", id).Row()
	require.NoError(t, row.Scan(&city, &zip, &floor, &open))
	return city, zip, floor, open
}

func TestWhatAFormShowsOfAnAbsentStructStaysNull(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		sent := asShown()
		sent.Set("Name", "Bea")
		shown, e := visit(t, db, sent)
		saved := Visitor{ID: shown.ID}

		_, err := e.Save(db, &saved)

		require.NoError(t, err)
		require.Nil(t, e.Mine.Home)
		require.Equal(t, Visitor{ID: shown.ID, Name: "Bea", Version: 2}, saved)
		city, zip, floor, open := homeOf(t, db, shown.ID)
		require.Equal(t, []any{(*string)(nil), (*int)(nil), (*int)(nil), (*bool)(nil)}, []any{city, zip, floor, open})
	})
}

func TestOnlyWhatIsEnteredOfAnAbsentStructIsWritten(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		sent := asShown()
		sent.Set("Home.City", "Rome")
		shown, e := visit(t, db, sent)
		saved := Visitor{ID: shown.ID}

		_, err := e.Save(db, &saved)

		require.NoError(t, err)
		require.Equal(t, &Address{City: "Rome"}, saved.Home)
		city, zip, floor, open := homeOf(t, db, shown.ID)
		require.Equal(t, "Rome", *city)
		require.Equal(t, []any{(*int)(nil), (*int)(nil), (*bool)(nil)}, []any{zip, floor, open})
	})
}

func TestAZeroThatIsEnteredIsWritten(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		sent := asShown()
		sent.Set("home_zip", "0")
		shown, e := visit(t, db, sent)

		_, err := e.Save(db, &Visitor{ID: shown.ID})

		require.NoError(t, err)
		city, zip, _, open := homeOf(t, db, shown.ID)
		require.Nil(t, city)
		require.Zero(t, *zip)
		require.Nil(t, open)
	})
}

func TestWhatTheProgramSetsInAnAbsentStructIsWritten(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		shown, e := visit(t, db, asShown())
		e.Mine.Home = &Address{Zip: 7}

		_, err := e.Save(db, &Visitor{ID: shown.ID})

		require.NoError(t, err)
		city, zip, floor, _ := homeOf(t, db, shown.ID)
		require.Nil(t, city)
		require.Equal(t, 7, *zip)
		require.Nil(t, floor)
	})
}

func TestTwoWhoEnterPartsOfAnAbsentStructAreMerged(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		sent := asShown()
		sent.Set("Home.City", "Rome")
		shown, e := visit(t, db, sent)
		require.NoError(t, db.Model(&Visitor{ID: shown.ID, Version: shown.Version}).Updates(map[string]any{"home_zip": 7, "home_floor": 3}).Error)
		saved := Visitor{ID: shown.ID}

		_, err := e.Save(db, &saved)

		require.NoError(t, err)
		require.Equal(t, &Address{City: "Rome", Zip: 7, Floor: 3}, saved.Home)
	})
}

func TestAConflictInAnAbsentStructShowsOnlyWhatWasEntered(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		sent := asShown()
		sent.Set("Home.City", "Rome")
		shown, e := visit(t, db, sent)
		require.NoError(t, db.Model(&Visitor{ID: shown.ID, Version: shown.Version}).Updates(map[string]any{"home_city": "Bonn", "home_zip": 7}).Error)

		conflict, err := e.Save(db, &Visitor{ID: shown.ID})

		require.ErrorIs(t, err, occ.ErrMergeConflict)
		require.Equal(t, map[string]occform.State{"Name": occform.StateUnchanged, "Home.City": occform.StateBoth, "Home.Zip": occform.StateTheirs,
			"Home.Open": occform.StateUnchanged}, states(conflict))
		require.Nil(t, conflict.Fields[2].Mine)
	})
}

func TestAnInputThatDoesNotParseInAnAbsentStruct(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		sent := asShown()
		shown, _ := visit(t, db, sent)
		hidden, err := occform.Hidden(db, &shown, addressFields...)
		require.NoError(t, err)
		sent.Set("home_zip", "x")
		sent.Set("Home.City", "Rome")

		_, err = occform.Parse[Visitor](db, post(hidden, sent), addressFields...)

		input := (*occform.InputError)(nil)
		require.ErrorAs(t, err, &input)
		require.Len(t, input.Fields, 1)
		require.Nil(t, input.Conflict.Fields[3].Mine)
	})
}
