//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gorm-occ/occ/internal/host"
)

const (
	startTimeout = 3 * time.Minute
	pollInterval = 100 * time.Millisecond
)

// Node is one server of a cluster.
type Node struct {
	Name string
	Port int // of 127.0.0.1

	run  *run
	user int
	dir  string // in the root; the data are in data below it

	mu      sync.Mutex
	command *exec.Cmd     // nil where it does not run
	ended   chan struct{} // closed when command has ended
}

func (r *run) node(i int) (*Node, error) {
	port, err := host.FreePort()
	name := fmt.Sprintf("node%d", i+1)
	return &Node{Name: name, Port: port, run: r, user: firstUser + i, dir: filepath.Join(r.dir, name)}, err
}

func (n *Node) data() string { return filepath.Join(n.dir, "data") }

func (n *Node) logFile() string { return n.run.outside(filepath.Join(n.dir, "log")) }

// contained is a command in a root, in a process namespace of its own: with the shell that is its first process everything
// ends that the server has started, and with the program that has started it, however that ended, the shell does.
func contained(root string, user int, command []string) []string {
	script := `root=$1 user=$2; shift 2; mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" && chroot --userspec="$user" "$root" "$@"; exit $?`
	return append([]string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "contained", root, owner(user)}, command...)
}

// start starts the server, and does not wait until it answers.
func (n *Node) start(command []string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.command != nil {
		return fmt.Errorf("%s runs already", n.Name)
	}
	log, err := os.OpenFile(n.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	c := contained(n.run.root, n.user, command)
	cmd := exec.Command(c[0], c[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	n.command, n.ended = cmd, ended
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	return nil
}

// Runs reports whether the server's process is there; it may be frozen.
func (n *Node) Runs() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.command != nil && !isClosed(n.ended)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// kill ends the server as a crash does. One that does not run is no error.
func (n *Node) kill() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.command == nil {
		return nil
	}
	if shell, err := childOf(n.command.Process.Pid); err == nil {
		_ = syscall.Kill(shell, syscall.SIGKILL) // and with it its namespace
	}
	_ = n.command.Process.Kill() // the shell may not have been there yet
	select {
	case <-n.ended:
		n.command = nil
		return nil
	case <-time.After(startTimeout):
		return fmt.Errorf("%s has not ended", n.Name)
	}
}

// signal sends a signal to the server itself.
func (n *Node) signal(s syscall.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.command == nil {
		return fmt.Errorf("%s does not run", n.Name)
	}
	shell, err := childOf(n.command.Process.Pid)
	if err != nil {
		return err
	}
	server, err := childOf(shell)
	if err != nil {
		return err
	}
	return signalAll(server, s)
}

// signalAll reaches the processes that a server has started, too: PostgreSQL has one for each connection.
func signalAll(pid int, s syscall.Signal) error {
	err := syscall.Kill(pid, s)
	for _, child := range childrenOf(pid) {
		err = errors.Join(err, signalAll(child, s))
	}
	if errors.Is(err, syscall.ESRCH) {
		return nil // a connection has ended meanwhile
	}
	return err
}

func (n *Node) freeze() error { return n.signal(syscall.SIGSTOP) }

func (n *Node) thaw() error { return n.signal(syscall.SIGCONT) }

// childOf is the only child of a process.
func childOf(pid int) (int, error) {
	children := childrenOf(pid)
	if len(children) == 0 {
		return 0, fmt.Errorf("process %d has no child", pid)
	}
	return children[0], nil
}

func childrenOf(pid int) (children []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for _, field := range strings.Fields(string(text)) {
			var child int
			if _, err := fmt.Sscan(field, &child); err == nil {
				children = append(children, child)
			}
		}
	}
	return children
}

// await polls until a check succeeds, as long as the server runs. An error has the end of its log.
func (n *Node) await(ctx context.Context, check func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		once, done := context.WithTimeout(ctx, 10*time.Second)
		err := check(once)
		done()
		if err == nil {
			return nil
		}
		if !n.Runs() {
			return fmt.Errorf("%s has ended: %s", n.Name, n.logged())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s at port %d: %w: %w: %s", n.Name, n.Port, ctx.Err(), err, n.logged())
		case <-tick.C:
		}
	}
}

// logged is the end of what the server has written.
func (n *Node) logged() string {
	text, err := os.ReadFile(n.logFile())
	if err != nil {
		return err.Error()
	}
	return host.Tail(string(text))
}
