// Editors has two people edit one article in two forms side by side, in a browser: click, and see what the library does.
//
//	go run ./examples/editors                        # http://127.0.0.1:8080
//	go run ./examples/editors -open                  # starts the browser too
//	go run ./examples/editors -addr 127.0.0.1:9000
//	curl -i http://127.0.0.1:8080/article.json       # the row as JSON, with its version as ETag
//	curl -i -X PUT -H 'If-Match: "1"' -d '{"title": "Stool", "price": 30}' http://127.0.0.1:8080/article.json
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen")
	open := flag.Bool("open", false, "start the browser")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *addr, *open); err != nil {
		log.Fatal(err)
	}
}

// run serves until the context ends.
func run(ctx context.Context, addr string, open bool) error {
	folder, err := os.MkdirTemp("", "editors")
	if err != nil {
		return err
	}
	s, err := newServer(filepath.Join(folder, "editors.db"))
	if err != nil {
		return errors.Join(err, os.RemoveAll(folder))
	}
	err = serve(ctx, addr, open, s.handler())
	return errors.Join(err, s.close(), os.RemoveAll(folder))
}

func serve(ctx context.Context, addr string, open bool, handler http.Handler) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	address := "http://" + listener.Addr().String()
	fmt.Println("two editors:", address, "(Ctrl-C ends it)")
	if open {
		if err := exec.Command(browser(), address).Start(); err != nil {
			fmt.Println("no browser could be started:", err)
		}
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err = <-served:
	case <-ctx.Done():
		err = server.Close()
		<-served
	}
	return err
}

// browser is the command that opens an address.
func browser() string {
	switch runtime.GOOS {
	case "darwin":
		return "open"
	case "windows":
		return "explorer"
	}
	return "xdg-open"
}
