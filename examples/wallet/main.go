// Wallet shows the lost update that everybody knows, and what occ makes of it: two requests read one balance, both write
// theirs, and the later write silently wins.
//
//	go run ./examples/wallet
//	go run ./examples/wallet -dsn 'postgres://user:password@127.0.0.1:5432/test'
//	go run ./examples/wallet -dsn 'user:password@tcp(127.0.0.1:3306)/test'
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"gorm.io/gorm"
)

func main() {
	dsn := flag.String("dsn", "", "PostgreSQL (postgres://... or key=value) or MariaDB (user:password@tcp(host:port)/database); default: SQLite in a temporary folder")
	flag.Parse()
	if err := run(os.Stdout, *dsn); err != nil {
		fmt.Fprintln(os.Stderr, "wallet:", err)
		os.Exit(1)
	}
}

// run tells the story twice, without occ and with it.
func run(out io.Writer, dsn string) error {
	d, err := newDatabase(dsn)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "database: %s\n", d.name)
	err = d.withTable(func() error {
		for _, part := range []func(io.Writer, *gorm.DB) error{withoutOCC, withOCC} {
			if err := d.use(func(db *gorm.DB) error { return part(out, db) }); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, d.remove())
}
