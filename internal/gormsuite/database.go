package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // as driver pgx
)

// database is a kind of database that the suite is run on.
type database struct {
	name, dialect string
	// create makes an empty database, for a program that is told of it by the environment.
	create func(ctx context.Context, dir string) (environment []string, drop func() error, err error)
}

var databases = []database{
	{"sqlite", "sqlite", createSQLite},
	{"postgres", "postgres", createPostgres},
	{"mariadb", "mysql", createMariaDB},
}

// createSQLite needs a folder alone: the suite's file is called gorm.db.
func createSQLite(_ context.Context, dir string) ([]string, func() error, error) {
	own := filepath.Join(dir, "sqlite-"+rand.Text())
	return []string{"GORM_DIALECT=sqlite", "TMPDIR=" + own}, func() error { return nil }, os.Mkdir(own, 0o755)
}

func createPostgres(ctx context.Context, _ string) ([]string, func() error, error) {
	dsn := cmp.Or(os.Getenv("TEST_POSTGRES_DSN"), "host=127.0.0.1 port=5432 user=postgres dbname=test sslmode=disable")
	name, drop, err := createOnServer(ctx, "pgx", dsn)
	return []string{"GORM_DIALECT=postgres", "GORM_DSN=" + postgresDSN(dsn, name)}, drop, err
}

// postgresDSN is the dsn with another database.
func postgresDSN(dsn, name string) string {
	if u, err := url.Parse(dsn); err == nil && u.Scheme != "" {
		u.Path = name
		return u.String()
	}
	return dsn + " dbname=" + name
}

func createMariaDB(ctx context.Context, _ string) ([]string, func() error, error) {
	dsn := cmp.Or(os.Getenv("TEST_MARIADB_DSN"), "root@tcp(127.0.0.1:3306)/test")
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, nil, err
	}
	name, drop, err := createOnServer(ctx, "mysql", dsn)
	config.DBName, config.ParseTime = name, true
	if config.Params == nil {
		config.Params = map[string]string{}
	}
	config.Params["charset"] = "utf8mb4"
	return []string{"GORM_DIALECT=mysql", "GORM_DSN=" + config.FormatDSN()}, drop, err
}

// createOnServer makes a database of a name of its own.
func createOnServer(ctx context.Context, driver, dsn string) (name string, drop func() error, err error) {
	pool, err := sql.Open(driver, dsn)
	if err != nil {
		return "", nil, err
	}
	name = "occ_gorm_" + strings.ToLower(rand.Text())
	if _, err := pool.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		pool.Close()
		return "", nil, err
	}
	return name, func() error {
		defer pool.Close()
		_, err := pool.Exec("DROP DATABASE " + name)
		return err
	}, nil
}
