//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// commandTimeout bounds a command that downloads, unpacks or sets up; those of a slow network take minutes.
const commandTimeout = 10 * time.Minute

// host is the machine that servers run on.
type host struct {
	cache  string // the directory that keeps what was downloaded and set up
	mirror string // of Debian; empty for the one that apt uses
}

// newHost reports what the machine lacks.
func newHost(mirror string) (host, error) {
	if os.Geteuid() != 0 {
		return host{}, errors.New("root is needed, to run servers in a chroot; as another user, start them in containers (compose.yaml) and set " +
			strings.Join(variables(), ", "))
	}
	for _, program := range []string{"apt-get", "dpkg-deb", "bash", "tar", "unshare", "chroot", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			return host{}, fmt.Errorf("the program %s is not there: servers come from Debian's packages, on Debian or a derivative", program)
		}
	}
	if _, err := os.Stat(keyring); err != nil {
		return host{}, fmt.Errorf("the keys of Debian's archive are not there, apt-get install debian-archive-keyring: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return host{}, fmt.Errorf("no directory to keep servers in: %w", err)
	}
	return host{filepath.Join(cache, "occ-servers"), mirror}, nil
}

func variables() (names []string) {
	for _, s := range specs {
		names = append(names, s.variable)
	}
	return names
}

func (h host) root(s spec) string { return filepath.Join(h.cache, s.name) }

// lock keeps another start or stop from coming in between. It waits for it.
func (h host) lock() (unlock func(), err error) {
	if err := os.MkdirAll(h.cache, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(h.cache, "lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// command runs a program. An error has the end of what it wrote.
func (h host) command(ctx context.Context, name string, args ...string) error {
	_, err := h.output(ctx, name, args...)
	return err
}

func (h host) output(ctx context.Context, name string, args ...string) (string, error) {
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
		return "", fmt.Errorf("%s: %w: %s", name, err, tail(stderr.String()+stdout.String()))
	}
	return stdout.String(), nil
}

// tail returns the last lines of a text.
func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// enclosed is a command in a server's root, run as nobody. Its mounts are its own, and end with it: nothing of the
// machine is mounted below the cache.
func enclosed(root string, command []string) []string {
	script := `mount --rbind /proc "$1/proc" && mount --rbind /dev "$1/dev" && shift && exec chroot --userspec=nobody "$@"`
	return append([]string{"unshare", "--mount", "sh", "-c", script, "enclosed", root, root}, command...)
}
