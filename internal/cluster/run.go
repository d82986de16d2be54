//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gorm-occ/occ/internal/host"
)

// run is the directory of one cluster, in the root of its packages.
type run struct {
	host.Host
	root string // of the packages
	dir  string // in the root
}

// Unpack downloads and unpacks what the clusters are made of, so that none has to wait for it.
func Unpack(ctx context.Context, h host.Host) error {
	unlock, err := h.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	for _, p := range []host.Packages{postgresPackages, galeraPackages, groupPackages} {
		if err := h.Unpack(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// newRun unpacks the packages and makes a directory for one cluster.
func newRun(ctx context.Context, h host.Host, p host.Packages) (*run, error) {
	unlock, err := h.Lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := h.Unpack(ctx, p); err != nil {
		return nil, err
	}
	r := &run{Host: h, root: h.Root(p.Name)}
	if err := r.addUsers(); err != nil {
		return nil, err
	}
	if err := r.removeOrphans(); err != nil {
		return nil, err
	}
	outside, err := os.MkdirTemp(filepath.Join(r.root, "srv"), fmt.Sprintf("run-%d-", os.Getpid()))
	if err != nil {
		return nil, err
	}
	r.dir = filepath.Join("/srv", filepath.Base(outside))
	return r, os.Chmod(outside, 0o755)
}

// outside is the path of a file of the root, seen from outside of it.
func (r *run) outside(path string) string { return filepath.Join(r.root, path) }

func (r *run) remove() error { return os.RemoveAll(r.outside(r.dir)) }

// removeOrphans removes the directories of clusters whose process has ended without doing so.
func (r *run) removeOrphans() (err error) {
	runs, err := filepath.Glob(r.outside("/srv/run-*"))
	for _, dir := range runs {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), "run-"), "-")
		if _, failed := os.Stat("/proc/" + pid); errors.Is(failed, os.ErrNotExist) {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}
	return err
}

// firstUser is that of the first node: each has its own, by which its packets are known.
const firstUser = 62001

// addUsers gives the nodes' users names in the root, which programs look for.
func (r *run) addUsers() error {
	path := r.outside("/etc/passwd")
	known, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for i := range maxNodes {
		line := fmt.Sprintf("node%d:x:%d:%d::/nonexistent:/bin/sh\n", i+1, firstUser+i, host.Nobody)
		if !strings.Contains(string(known), line) {
			known = append(known, line...)
		}
	}
	return os.WriteFile(path, known, 0o644)
}

const maxNodes = 3

// template is an empty data directory that initialize has filled; it is made once. The command is run by nobody.
func (r *run) template(ctx context.Context, initialize func(dir string) []string) (dir string, err error) {
	unlock, err := r.Lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	dir = "/srv/template"
	complete := r.outside(dir + ".complete")
	if _, err := os.Stat(complete); err == nil {
		return dir, nil
	}
	if err := os.RemoveAll(r.outside(dir)); err != nil {
		return "", err
	}
	if err := r.makeDir(dir, host.Nobody); err != nil {
		return "", err
	}
	if err := r.enclosed(ctx, initialize(filepath.Join(dir, "data"))); err != nil {
		return "", err
	}
	return dir, os.WriteFile(complete, nil, 0o644)
}

// copyData gives a node a data directory of its own.
func (r *run) copyData(ctx context.Context, template string, n *Node) error {
	if err := r.makeDir(n.dir, n.user); err != nil {
		return err
	}
	data := filepath.Join(template, "data")
	if err := r.Command(ctx, "cp", "-a", "--reflink=auto", r.outside(data), r.outside(n.dir)+"/"); err != nil {
		return err
	}
	return r.Command(ctx, "chown", "-R", owner(n.user), r.outside(n.dir))
}

func (r *run) makeDir(dir string, user int) error {
	return errors.Join(os.MkdirAll(r.outside(dir), 0o700), os.Chown(r.outside(dir), user, host.Nobody))
}

// enclosed runs a command in the root.
func (r *run) enclosed(ctx context.Context, command []string) error {
	c := host.Enclosed(r.root, command)
	return r.Command(ctx, c[0], c[1:]...)
}

func owner(user int) string { return strconv.Itoa(user) + ":" + strconv.Itoa(host.Nobody) }
