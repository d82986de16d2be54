// Two people edit one meeting in a terminal; examples/editors has them do it in a browser. What they change in different columns is kept, both of it; where they change the same
// column, the second one is shown what it was, what they made of it and what the other one did, and chooses.
//
//	go run ./examples/meeting                  # asks, if it runs in a terminal
//	go run ./examples/meeting -choose theirs   # the answer where it does not
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/examples/internal/embedded"
)

// Meeting is what is edited.
type Meeting struct {
	ID    uint
	Place string
	Time  string
	occ.Version
}

func main() {
	answer := flag.String("choose", "mine", "which value stays where both sides changed it, mine or theirs")
	flag.Parse()
	if *answer != "mine" && *answer != "theirs" {
		log.Fatalf("-choose is mine or theirs, not %q", *answer)
	}
	if err := run(os.Stdout, terminal(os.Stdin), *answer); err != nil {
		log.Fatal(err)
	}
}

// run plays both people on a database of its own.
func run(out io.Writer, in io.Reader, answer string) error {
	dir, err := os.MkdirTemp("", "meeting")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	db, err := gorm.Open(embedded.Open(filepath.Join(dir, "meeting.db")), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return err
	}
	if err := errors.Join(db.Use(occ.New()), db.AutoMigrate(&Meeting{})); err != nil {
		return err
	}
	return errors.Join(newEditor(db, out, in, answer).play(), closeDB(db))
}

func (e *editor) play() error {
	meeting := Meeting{Place: "Room 1", Time: "10:00"}
	if err := e.db.Create(&meeting).Error; err != nil {
		return err
	}
	fmt.Fprintf(e.out, "A meeting: %s, %s.\n\n", meeting.Place, meeting.Time)

	fmt.Fprintln(e.out, "Ann moves it to Room 2 while Ben, who has loaded it before, moves it to 11:00.")
	if err := e.edit(meeting.ID, func(ann *Meeting) { ann.Place = "Room 2" }, func(ben *Meeting) { ben.Time = "11:00" }); err != nil {
		return err
	}
	fmt.Fprintln(e.out, "Ann moves it to the garden while Ben moves it to the café.")
	return e.edit(meeting.ID, func(ann *Meeting) { ann.Place = "garden" }, func(ben *Meeting) { ben.Place = "café" })
}

// edit has Ann and Ben load the meeting, then save what they change, Ann first.
func (e *editor) edit(id uint, anns, bens func(m *Meeting)) error {
	var ann, base Meeting
	if err := errors.Join(e.db.First(&ann, id).Error, e.db.First(&base, id).Error); err != nil {
		return err
	}
	ben := base // Ben changes a copy, and keeps what he has loaded
	anns(&ann)
	bens(&ben)
	if err := e.db.Save(&ann).Error; err != nil {
		return err
	}
	if err := e.save(&base, &ben); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "  It is now: %s, %s (version %d).\n\n", ben.Place, ben.Time, ben.Version)
	return nil
}

func closeDB(db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}
