package occ_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Meeting is what is edited in the examples of docs/conflicts.md.
type Meeting struct {
	ID    uint
	Place string
	Time  string
	Seats int
	occ.Version
}

// meetings gives an example a database with a meeting in room 1 at 10:00, which was loaded as mine, and then written with
// other values by somebody else.
func meetings(theirs map[string]any) (db *gorm.DB, mine Meeting, end func()) {
	db, end = testdb.Example()
	mine = Meeting{Place: "room 1", Time: "10:00", Seats: 4}
	other := Meeting{}
	err := errors.Join(db.Use(occ.New()), db.AutoMigrate(&Meeting{}), db.Create(&mine).Error, db.First(&other, mine.ID).Error)
	if len(theirs) > 0 && err == nil {
		err = db.Model(&other).Updates(theirs).Error
	}
	if err != nil {
		log.Fatal(err)
	}
	return db, mine, end
}

// Booking is a meeting that says who has changed it last.
type Booking struct {
	ID        uint
	Place     string
	UpdatedBy string    `gorm:"blame"`
	UpdatedAt time.Time `gorm:"blame"`
	occ.Version
}

func ExampleStaleRow_blame() {
	db, end := testdb.Example()
	defer end()
	mine, theirs := Booking{Place: "room 1", UpdatedBy: "ann"}, Booking{}
	err := errors.Join(db.Use(occ.New()), db.AutoMigrate(&Booking{}), db.Create(&mine).Error, db.First(&theirs, mine.ID).Error,
		db.Model(&theirs).Updates(Booking{Place: "garden", UpdatedBy: "bob"}).Error)
	if err != nil {
		log.Fatal(err)
	}

	err = db.Model(&mine).Updates(Booking{Place: "attic", UpdatedBy: "ann"}).Error
	var refused *occ.StaleDataError
	if errors.As(err, &refused) {
		blame := refused.Rows[0].Blame // nil where the row is gone
		fmt.Println("changed by", blame["updated_by"], "at a known time:", blame["updated_at"] != nil)
	}
	// Output: changed by bob at a known time: true
}

func Example_reload() {
	db, mine, end := meetings(map[string]any{"place": "garden"})
	defer end()

	mine.Time = "11:00"
	err := db.Save(&mine).Error
	if errors.Is(err, occ.ErrStaleData) {
		current, err := occ.Current(db, &mine)
		if errors.Is(err, gorm.ErrRecordNotFound) {
			fmt.Println("the meeting was deleted")
			return
		}
		fmt.Printf("somebody moved it to the %s, at %s: edit again\n", current.Place, current.Time)
	}
	// Output: somebody moved it to the garden, at 10:00: edit again
}

func ExampleCurrent() {
	db, mine, end := meetings(map[string]any{"place": "garden"})
	defer end()

	mine.Time = "11:00"
	if err := db.Save(&mine).Error; errors.Is(err, occ.ErrStaleData) {
		current, err := occ.Current(db, &mine)
		if err != nil {
			log.Fatal(err)
		}
		mine = *current
	}
	fmt.Println(mine.Place, mine.Time)
	// Output: garden 10:00
}

func ExampleExpect_clientWins() {
	db, mine, end := meetings(map[string]any{"place": "garden"})
	defer end()

	mine.Place = "attic"
	if err := db.Save(&mine).Error; errors.Is(err, occ.ErrStaleData) {
		current, err := occ.Current(db, &mine)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("overwriting the %s\n", current.Place) // or ask first
		if err := db.Clauses(occ.Expect(current.Version)).Save(&mine).Error; err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(mine.Place, mine.Version)
	// Output:
	// overwriting the garden
	// attic 3
}

func ExampleUnchecked_clientWins() {
	db, mine, end := meetings(map[string]any{"place": "garden"})
	defer end()

	mine.Place = "attic"
	err := db.Clauses(occ.Unchecked()).Save(&mine).Error
	fmt.Println(mine.Place, mine.Version, err)
	// Output: attic 3 <nil>
}

func ExampleRebase() {
	db, mine, end := meetings(map[string]any{"place": "garden"})
	defer end()

	base := mine // as it was loaded
	mine.Time = "11:00"
	err := db.Save(&mine).Error
	if errors.Is(err, occ.ErrStaleData) {
		err = occ.Rebase(db, &base, &mine)
	}
	fmt.Println(mine.Place, mine.Time, mine.Version, err)
	// Output: garden 11:00 3 <nil>
}

func ExampleMergeConflictError() {
	db, mine, end := meetings(map[string]any{"place": "garden", "seats": 8})
	defer end()

	base := mine
	mine.Place, mine.Time = "attic", "11:00"
	err := occ.Rebase(db, &base, &mine)

	var conflict *occ.MergeConflictError
	if errors.As(err, &conflict) {
		theirs := conflict.Theirs.(*Meeting)
		for _, c := range conflict.Fields {
			fmt.Printf("%s was %v: mine %v, theirs %v\n", c.Field, c.Base, c.Mine, c.Theirs)
		}
		base.Place = theirs.Place // theirs was seen: it is what the decision is based on
		// mine.Place = theirs.Place, if the decision is theirs
		err = occ.Rebase(db, &base, &mine)
	}
	fmt.Println(mine.Place, mine.Time, mine.Seats, err)
	// Output:
	// Place was room 1: mine attic, theirs garden
	// attic 11:00 8 <nil>
}

func ExampleMerge() {
	db, mine, end := meetings(map[string]any{"place": "garden", "seats": 8})
	defer end()

	base := mine
	mine.Time, mine.Seats = "11:00", 6
	theirs, err := occ.Current(db, &mine)
	if err != nil {
		log.Fatal(err)
	}
	merged, conflicts, err := occ.Merge(db, &base, &mine, theirs)
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range conflicts {
		if c.Column == "seats" { // whoever needs more seats is right
			merged.Seats = max(mine.Seats, theirs.Seats)
		}
	}
	err = db.Save(merged).Error // compared with the version of theirs
	fmt.Println(merged.Place, merged.Time, merged.Seats, err)
	// Output: garden 11:00 8 <nil>
}

func ExampleRetry() {
	db, mine, end := meetings(nil)
	defer end()
	ctx, id := context.Background(), mine.ID

	err := occ.Retry(ctx, db, func(tx *gorm.DB) error {
		var meeting Meeting
		if err := tx.First(&meeting, id).Error; err != nil {
			return err
		}
		if meeting.Seats == 0 {
			return errors.New("no seat is left")
		}
		meeting.Seats--
		return tx.Save(&meeting).Error
	})
	current, _ := occ.Current(db, &mine)
	fmt.Println(current.Seats, err)
	// Output: 3 <nil>
}

// Receipt says that a request was carried out.
type Receipt struct {
	Key string `gorm:"primaryKey;size:36"` // made by the caller, the same for every try of one request
}

func ExampleRetry_idempotencyKey() {
	db, mine, end := meetings(nil)
	defer end()
	if err := db.AutoMigrate(&Receipt{}); err != nil {
		log.Fatal(err)
	}
	ctx, request := context.Background(), "0c7ad8b2"
	transfer := func(tx *gorm.DB) error { return tx.Model(&mine).Update("seats", 3).Error }

	err := occ.Retry(ctx, db, func(tx *gorm.DB) error {
		if err := tx.Create(&Receipt{Key: request}).Error; err != nil {
			return err // gorm.ErrDuplicatedKey with TranslateError: the request was carried out before
		}
		return transfer(tx)
	})
	fmt.Println(mine.Seats, err)
	// Output: 3 <nil>
}

func ExampleWithLockAfter() {
	db, mine, end := meetings(nil)
	defer end()
	ctx, id := context.Background(), mine.ID

	takeSeat := func(tx *gorm.DB) error {
		var meeting Meeting
		if err := tx.First(&meeting, id).Error; err != nil {
			return err
		}
		return tx.Model(&meeting).Update("seats", meeting.Seats-1).Error
	}
	err := occ.Retry(ctx, db, takeSeat, occ.WithLockAfter(2))
	current, _ := occ.Current(db, &mine)
	fmt.Println(current.Seats, err)
	// Output: 3 <nil>
}
