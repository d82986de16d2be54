// Stores tells one story of a wallet on three stores: on each, a write is compared with the version it was based on.
//
//	go run . -store sqlite     # by occ; -dsn takes PostgreSQL or MariaDB instead
//	npm ci                     # once: brings dynalite, which serves DynamoDB's API
//	go run . -store dynamodb   # the version in a condition expression
//	go run . -store mongodb    # the version in the filter; MONGODB_URI says where MongoDB is
//
// Without MONGODB_URI, FerretDB runs within the program. It matches with the filter and writes by key in another transaction
// (its issue 3040), so that a crowd would lose deposits on it: there it tells the story of the two requests alone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	store := flag.String("store", "sqlite", "sqlite, dynamodb or mongodb")
	dsn := flag.String("dsn", "", "for -store sqlite: PostgreSQL (postgres://... or key=value) or MariaDB (user:password@tcp(host:port)/database) instead of SQLite")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, *store, *dsn); err != nil {
		fmt.Fprintln(os.Stderr, "stores:", err)
		os.Exit(1)
	}
}

// run tells the story on a store, and has a crowd make deposits where the store compares and writes in one step.
func run(ctx context.Context, out io.Writer, store, dsn string) error {
	s, err := open(ctx, store, dsn)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\n\n", s.name)
	return errors.Join(tellAll(ctx, out, s), s.stop())
}

func tellAll(ctx context.Context, out io.Writer, s *server) error {
	if err := tell(ctx, out, s, "two requests"); err != nil {
		return err
	}
	if s.losing {
		_, err := fmt.Fprintln(out, "no crowd here: it would lose deposits; set MONGODB_URI")
		return err
	}
	lost, err := crowd(ctx, out, s, "crowd")
	if err == nil && lost != 0 {
		err = fmt.Errorf("%d lost", lost)
	}
	return err
}
