//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gorm-occ/occ/internal/host"
)

const (
	startTimeout = 2 * time.Minute
	stopTimeout  = time.Minute
)

// machine is the host of the servers.
type machine struct{ host.Host }

func (h machine) root(s spec) string { return h.Root(s.name) }

// process is a server that was started. since tells it from another process that has got its id meanwhile.
type process struct {
	pid   int
	since string
	port  int
}

func (h machine) processFile(s spec) string { return h.root(s) + ".process" }

// running returns the process of a server, if it runs.
func (h machine) running(s spec) (p process, ok bool) {
	content, err := os.ReadFile(h.processFile(s))
	if err != nil {
		return process{}, false
	}
	if _, err := fmt.Sscan(string(content), &p.pid, &p.since, &p.port); err != nil {
		return process{}, false
	}
	return p, p.isAlive()
}

func (h machine) remember(s spec, p process) error {
	return os.WriteFile(h.processFile(s), fmt.Appendln(nil, p.pid, p.since, p.port), 0o644)
}

// since returns the time at which a process began, in ticks since the machine did; it is empty for one that has ended.
func since(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // behind the name, which may have spaces
	fields := strings.Fields(rest)
	if len(fields) < 20 || fields[0] == "Z" {
		return ""
	}
	return fields[19]
}

func (p process) isAlive() bool { return p.since != "" && since(p.pid) == p.since }

// start starts servers that do not run yet, and prints what the tests need to know.
func start(ctx context.Context, h machine, chosen []spec, out io.Writer) error {
	unlock, err := h.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	for _, s := range chosen {
		p, version, err := h.start(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s: version %s, port %d, process %d\n", s.name, version, p.port, p.pid)
		fmt.Fprintln(out, s.environment(p.port))
	}
	return nil
}

func (h machine) start(ctx context.Context, s spec) (p process, version string, err error) {
	p, ok := h.running(s)
	if !ok {
		if err := h.Unpack(ctx, host.Packages{Name: s.name, Suites: s.suites, Wanted: s.packages}); err != nil {
			return p, "", err
		}
		if err := h.initialize(ctx, s); err != nil {
			return p, "", err
		}
		if p, err = h.serve(s); err != nil {
			return p, "", err
		}
	}
	version, err = h.await(ctx, s, p)
	if err != nil && !ok {
		err = errors.Join(err, p.end(syscall.SIGKILL))
	}
	return p, version, err
}

// initialize sets the server's data up, unless that was done before.
func (h machine) initialize(ctx context.Context, s spec) error {
	done := filepath.Join(h.root(s), homeDir, "initialized")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	home := filepath.Join(h.root(s), homeDir)
	if err := os.RemoveAll(home); err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(home, 0o700), os.Chown(home, host.Nobody, host.Nobody)); err != nil {
		return err
	}
	command := host.Enclosed(h.root(s), s.initialize)
	if err := h.Command(ctx, command[0], command[1:]...); err != nil {
		return err
	}
	return os.WriteFile(done, nil, 0o644)
}

// serve starts the server. It goes on when this program has ended.
func (h machine) serve(s spec) (process, error) {
	port, err := host.FreePort()
	if err != nil {
		return process{}, err
	}
	log, err := os.Create(h.logFile(s))
	if err != nil {
		return process{}, err
	}
	defer log.Close()
	command := host.Enclosed(h.root(s), s.serve(port))
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return process{}, err
	}
	p := process{cmd.Process.Pid, since(cmd.Process.Pid), port} // unshare, sh and chroot turn into the server
	go func() { _ = cmd.Wait() }()                              // so that one that ends is seen to
	return p, h.remember(s, p)
}

func (h machine) logFile(s spec) string { return h.root(s) + ".log" }

// await waits until the server answers, and returns its version.
func (h machine) await(ctx context.Context, s spec, p process) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		version, err = s.prepare(ctx, p.port)
		if err == nil {
			return version, nil
		}
		if !p.isAlive() {
			return "", fmt.Errorf("the server has ended: %s", h.readLog(s))
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the server does not answer at port %d: %w: %s", p.port, err, h.readLog(s))
		case <-tick.C:
		}
	}
}

func (h machine) readLog(s spec) string {
	content, err := os.ReadFile(h.logFile(s))
	if err != nil {
		return err.Error()
	}
	return host.Tail(string(content))
}

// env prints what the tests need to know of the servers that run.
func env(_ context.Context, h machine, chosen []spec, out io.Writer) error {
	for _, s := range chosen {
		p, ok := h.running(s)
		if !ok {
			return fmt.Errorf("%s does not run: go run ./internal/servers start %s", s.name, s.name)
		}
		fmt.Fprintln(out, s.environment(p.port))
	}
	return nil
}

// stop ends servers, each by its process's id. One that does not run is no error.
func stop(_ context.Context, h machine, chosen []spec, out io.Writer) (err error) {
	unlock, err := h.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	for _, s := range chosen {
		p, ok := h.running(s)
		if !ok {
			continue
		}
		if e := p.end(s.end); e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", s.name, e))
			continue
		}
		err = errors.Join(err, os.Remove(h.processFile(s)))
		fmt.Fprintf(out, "%s: stopped\n", s.name)
	}
	return err
}

// end sends a signal and waits for the process to end.
func (p process) end(signal syscall.Signal) error {
	if !p.isAlive() {
		return nil
	}
	if err := syscall.Kill(p.pid, signal); err != nil {
		return err
	}
	for deadline := time.Now().Add(stopTimeout); p.isAlive(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d has not ended after %s", p.pid, stopTimeout)
		}
	}
	return nil
}
