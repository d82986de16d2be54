package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

// editor is the program that Ben works with.
type editor struct {
	db     *gorm.DB
	out    io.Writer
	in     *bufio.Scanner
	answer string
}

func newEditor(db *gorm.DB, out io.Writer, in io.Reader, answer string) *editor {
	return &editor{db: db, out: out, in: bufio.NewScanner(in), answer: answer}
}

// save saves what Ben made of base. Where somebody else was faster, it goes on until their changes and his fit together.
func (e *editor) save(base, mine *Meeting) error {
	err := e.db.Save(mine).Error
	for errors.Is(err, occ.ErrStaleData) {
		fmt.Fprintf(e.out, "  Ben is told: %v\n", err)
		if conflict := (*occ.MergeConflictError)(nil); errors.As(err, &conflict) {
			e.resolve(base, mine, conflict)
		} else if !wasChanged(err) {
			return err // deleted: there is nothing left to save it to
		}
		err = occ.Rebase(e.db, base, mine)
	}
	return err
}

func wasChanged(err error) bool {
	var stale *occ.StaleDataError
	return errors.As(err, &stale) && stale.Rows[0].Reason == occ.ReasonChanged
}

// resolve asks for each conflict whose value stays. Either way, Ben has seen theirs: it is what he goes on from.
func (e *editor) resolve(base, mine *Meeting, conflict *occ.MergeConflictError) {
	theirs := conflict.Theirs.(*Meeting)
	e.show(conflict.Fields)
	for _, field := range conflict.Fields {
		if e.choose(field.Field) == "theirs" {
			*mine.field(field.Field) = *theirs.field(field.Field)
		}
		*base.field(field.Field) = *theirs.field(field.Field)
	}
}

func (m *Meeting) field(name string) *string {
	if name == "Place" {
		return &m.Place
	}
	return &m.Time
}

func (e *editor) show(conflicts []occ.FieldConflict) {
	table := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	defer table.Flush()
	fmt.Fprintln(table, "  \tit was\tmine\ttheirs")
	for _, c := range conflicts {
		fmt.Fprintf(table, "  %s\t%v\t%v\t%v\n", c.Field, c.Base, c.Mine, c.Theirs)
	}
}

// choose asks until it gets an answer; where nobody answers, it is the one of the command line.
func (e *editor) choose(field string) string {
	for {
		fmt.Fprintf(e.out, "  %s: mine or theirs? ", field)
		if !e.in.Scan() {
			fmt.Fprintln(e.out, e.answer)
			return e.answer
		}
		if answer := e.in.Text(); answer == "mine" || answer == "theirs" {
			return answer
		}
	}
}

// terminal is the file if somebody sits in front of it.
func terminal(file *os.File) io.Reader {
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return eof{}
	}
	return file
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
