//go:build linux

// Package host runs servers out of Debian's packages: unpacked into directories of their own below the user's cache,
// installed nowhere, in a chroot, as users without rights. It takes root, on Debian or a derivative.
package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Nobody is the user and the group that servers run as where they have none of their own.
const Nobody = 65534

// commandTimeout bounds a command that downloads, unpacks or sets up; those of a slow network take minutes.
const commandTimeout = 10 * time.Minute

// ErrNotRoot says that the user may not run servers in a chroot.
var ErrNotRoot = errors.New("root is needed, to run servers in a chroot")

// Host is the machine that servers run on.
type Host struct {
	Cache  string // the directory that keeps what was downloaded and set up
	Mirror string // of Debian; empty for the one that apt uses
}

// New reports what the machine lacks.
func New(mirror string) (Host, error) {
	if os.Geteuid() != 0 {
		return Host{}, ErrNotRoot
	}
	for _, program := range []string{"apt-get", "dpkg-deb", "bash", "tar", "unshare", "chroot", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			return Host{}, fmt.Errorf("the program %s is not there: servers come from Debian's packages, on Debian or a derivative", program)
		}
	}
	if _, err := os.Stat(keyring); err != nil {
		return Host{}, fmt.Errorf("the keys of Debian's archive are not there, apt-get install debian-archive-keyring: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return Host{}, fmt.Errorf("no directory to keep servers in: %w", err)
	}
	return Host{filepath.Join(cache, "occ-servers"), mirror}, nil
}

// Root is the directory that holds the packages of a name.
func (h Host) Root(name string) string { return filepath.Join(h.Cache, name) }

// Lock keeps another start or stop from coming in between. It waits for it.
func (h Host) Lock() (unlock func(), err error) {
	if err := os.MkdirAll(h.Cache, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(h.Cache, "lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// Command runs a program. An error has the end of what it wrote.
func (h Host) Command(ctx context.Context, name string, args ...string) error {
	_, err := h.Output(ctx, name, args...)
	return err
}

// Output returns what a program wrote to standard output.
func (h Host) Output(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, Tail(stderr.String()+stdout.String()))
	}
	return stdout.String(), nil
}

// Tail returns the last lines of a text.
func Tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// Enclosed is a command in a server's root, run as nobody. Its mounts are its own, and end with it: nothing of the
// machine is mounted below the cache.
func Enclosed(root string, command []string) []string {
	script := `mount --rbind /proc "$1/proc" && mount --rbind /dev "$1/dev" && shift && exec chroot --userspec=nobody "$@"`
	return append([]string{"unshare", "--mount", "sh", "-c", script, "enclosed", root, root}, command...)
}

// FreePort returns a port of 127.0.0.1 that nobody listens on, below those of outgoing connections.
func FreePort() (int, error) {
	var errs []error
	for range 50 {
		port := 20000 + rand.IntN(12000)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, listener.Close()
		}
		errs = append(errs, err)
	}
	return 0, errors.Join(errs...)
}
