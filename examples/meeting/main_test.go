package main

import (
	"fmt"
	"os"
	"strings"
)

func Example_mine() {
	if err := run(os.Stdout, eof{}, "mine"); err != nil {
		fmt.Println(err)
	}
	// Output:
	// A meeting: Room 1, 10:00.
	//
	// Ann moves it to Room 2 while Ben, who has loaded it before, moves it to 11:00.
	//   Ben is told: occ: stale data: update of "meetings" refused: row id=1 changed: expected version 1, found 2
	//   It is now: Room 2, 11:00 (version 3).
	//
	// Ann moves it to the garden while Ben moves it to the café.
	//   Ben is told: occ: stale data: update of "meetings" refused: row id=1 changed: expected version 3, found 4
	//   Ben is told: occ: merge conflict: "meetings" row id=1: both sides changed Place
	//          it was  mine  theirs
	//   Place  Room 2  café  garden
	//   Place: mine or theirs? mine
	//   It is now: café, 11:00 (version 5).
}

func Example_asked() {
	var out strings.Builder
	if err := run(&out, strings.NewReader("what?\ntheirs\n"), "mine"); err != nil {
		fmt.Println(err)
	}
	_, asked, _ := strings.Cut(out.String(), "garden\n")
	fmt.Println(strings.TrimSpace(asked))
	// Output:
	// Place: mine or theirs?   Place: mine or theirs?   It is now: garden, 11:00 (version 4).
}
