package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/FerretDB/FerretDB/ferretdb"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	_ "modernc.org/sqlite" // needs no cgo
)

// startTimeout is how long a server may take to start.
const startTimeout = 30 * time.Second

// server is a store that is ready, what it is called, and how to leave nothing behind.
type server struct {
	Store
	name   string
	losing bool // it does not compare and write in one step: a crowd loses deposits
	stop   func() error
}

// open starts, or reaches, the store of a name.
func open(ctx context.Context, store, dsn string) (*server, error) {
	switch store {
	case "sqlite":
		return openSQL(dsn)
	case "dynamodb":
		return openDynamoDB(ctx)
	case "mongodb":
		return openMongoDB(ctx, os.Getenv("MONGODB_URI"))
	}
	return nil, fmt.Errorf("there is no store called %q: it is sqlite, dynamodb or mongodb", store)
}

// openSQL opens SQLite in a temporary folder, or the database of a DSN.
func openSQL(dsn string) (*server, error) {
	name, dialector, remove, err := dialectorOf(dsn)
	if err != nil {
		return nil, err
	}
	db, err := gorm.Open(dialector, &gorm.Config{Logger: logger.Discard, SkipDefaultTransaction: true})
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	pool, err := db.DB()
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	pool.SetMaxIdleConns(workers)
	store, err := newSQLStore(db)
	stop := func() error { return errors.Join(db.Migrator().DropTable(&Wallet{}), pool.Close(), remove()) }
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	return &server{Store: store, name: name, stop: stop}, nil
}

// dialectorOf tells databases by their DSN.
func dialectorOf(dsn string) (name string, dialector gorm.Dialector, remove func() error, err error) {
	keep := func() error { return nil }
	switch {
	case dsn == "":
		folder, err := os.MkdirTemp("", "occ-stores")
		file := filepath.Join(folder, "wallets.db") + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)"
		remove := func() error { return os.RemoveAll(folder) }
		return "SQLite in a temporary folder, by occ", sqlite.New(sqlite.Config{DriverName: "sqlite", DSN: file}), remove, err
	case strings.Contains(dsn, ")/"), strings.Contains(dsn, "@/"):
		return "MariaDB, by occ", mysql.Open(dsn), keep, nil
	}
	return "PostgreSQL, by occ", postgres.Open(dsn), keep, nil
}

// errNoDynalite says what brings the server that DynamoDB's API comes from.
var errNoDynalite = errors.New("dynalite is not in this folder: bring it with npm ci (Node.js 20 or newer)")

// openDynamoDB starts dynalite, which serves DynamoDB's API from memory.
func openDynamoDB(ctx context.Context) (*server, error) {
	if _, err := os.Stat(filepath.Join("node_modules", "dynalite")); err != nil {
		return nil, errNoDynalite
	}
	endpoint, stop, err := startDynalite()
	if err != nil {
		return nil, err
	}
	store, err := newDynamoStore(ctx, endpoint)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	return &server{Store: store, name: "DynamoDB's API, by dynalite", stop: stop}, nil
}

// startDynalite returns the address that serve.js prints. The server ends when its input does, so also with this program.
func startDynalite() (endpoint string, stop func() error, err error) {
	node := exec.Command("node", "serve.js")
	node.Stderr = os.Stderr
	input, err := node.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	output, err := node.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := node.Start(); err != nil {
		return "", nil, err
	}
	stop = func() error { return errors.Join(input.Close(), node.Wait()) }
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("serve.js did not say its address: %w", err), stop())
	}
	return strings.TrimSpace(line), stop, nil
}

// openMongoDB reaches a MongoDB, or starts FerretDB within this program where there is no address of one.
func openMongoDB(ctx context.Context, uri string) (*server, error) {
	s := &server{name: "MongoDB", stop: func() error { return nil }}
	if uri == "" {
		var err error
		if uri, s.stop, err = startFerretDB(); err != nil {
			return nil, err
		}
		s.name, s.losing = "FerretDB on SQLite, which speaks MongoDB's protocol", true
	}
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetServerSelectionTimeout(startTimeout))
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	wallets, stopServer := client.Database("test").Collection(table), s.stop
	s.Store = mongoStore{wallets}
	s.stop = func() error {
		return errors.Join(wallets.Drop(context.WithoutCancel(ctx)), client.Disconnect(context.WithoutCancel(ctx)), stopServer())
	}
	if err := client.Ping(ctx, nil); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// startFerretDB runs FerretDB on a free port of this machine, over SQLite in a temporary folder.
func startFerretDB() (uri string, stop func() error, err error) {
	folder, err := os.MkdirTemp("", "occ-stores")
	if err != nil {
		return "", nil, err
	}
	ferret, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Logger:    slog.New(slog.NewTextHandler(io.Discard, nil)),
		Handler:   "sqlite",
		SQLiteURL: "file:" + folder + "/",
	})
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(folder))
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- ferret.Run(ctx) }()
	stop = func() error {
		cancel()
		return errors.Join(<-done, os.RemoveAll(folder))
	}
	return ferret.MongoDBURI(), stop, nil
}
