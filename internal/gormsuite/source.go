package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	repository   = "https://github.com/go-gorm/gorm"
	cloneTimeout = 2 * time.Minute
)

// errNoSource reports that GORM's tests are not to be had: no module holds them, only the repository does.
var errNoSource = errors.New(repository + " does not answer")

// suite is a copy of GORM with its tests, and where occ is that they are run with.
type suite struct {
	version string // GORM's, of go.mod
	occ     string // the folder of occ's go.mod
	dir     string // the copy of GORM, with tests in a folder of its own
}

func (s *suite) tests() string { return filepath.Join(s.dir, "tests") }

// unpack makes the copy in a folder: the library out of the module that go.mod names, so that go.sum vouches for it, and the tests
// out of the repository at the tag of that version.
func unpack(ctx context.Context, source, into string) (*suite, error) {
	module, err := output(ctx, "", "go", "list", "-m", "-f", "{{.Version}}\n{{.Dir}}", "gorm.io/gorm")
	if err != nil {
		return nil, err
	}
	root, err := output(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return nil, err
	}
	version, library, _ := strings.Cut(module, "\n")
	s := &suite{version: version, occ: root, dir: filepath.Join(into, "gorm")}
	if err := os.CopyFS(s.dir, os.DirFS(library)); err != nil {
		return nil, err
	}
	if source == "" {
		source = filepath.Join(into, "clone")
		if err := clone(ctx, version, source); err != nil {
			return s, err
		}
	}
	return s, s.addTests(ctx, source)
}

func clone(ctx context.Context, version, into string) error {
	ctx, cancel := context.WithTimeout(ctx, cloneTimeout)
	defer cancel()
	git := exec.CommandContext(ctx, "git", "clone", "--quiet", "--depth", "1", "--branch", version, repository, into)
	git.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0")
	if out, err := git.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", errNoSource, strings.TrimSpace(string(out)))
	}
	return nil
}

// addTests takes the tests out of a clone, and has them run against the copy of GORM and this occ.
func (s *suite) addTests(ctx context.Context, source string) error {
	git := exec.CommandContext(ctx, "git", "-C", source, "archive", s.version, "tests")
	git.Stderr = os.Stderr
	archive, err := git.StdoutPipe()
	if err != nil {
		return err
	}
	if err := git.Start(); err != nil {
		return err
	}
	unpacked := extract(archive, s.dir)
	if err := git.Wait(); err != nil {
		return fmt.Errorf("git archive %s in %s: %w", s.version, source, err)
	}
	if unpacked != nil {
		return unpacked
	}
	_, err = output(ctx, s.tests(), "go", "mod", "edit",
		"-require=github.com/gorm-occ/occ@v0.0.0", "-replace=github.com/gorm-occ/occ="+s.occ)
	return err
}

func extract(archive io.Reader, into string) error {
	root, err := os.OpenRoot(into)
	if err != nil {
		return err
	}
	defer root.Close()
	for entries := tar.NewReader(archive); ; {
		entry, err := entries.Next()
		switch {
		case err == io.EOF:
			_, err = io.Copy(io.Discard, archive) // what follows the last entry
			return err
		case err != nil:
			return err
		case entry.FileInfo().IsDir():
			err = root.MkdirAll(filepath.Clean(entry.Name), 0o755)
		case entry.FileInfo().Mode().IsRegular():
			err = write(root, entry.Name, entries)
		}
		if err != nil {
			return err
		}
	}
}

func write(root *os.Root, name string, content io.Reader) error {
	file, err := root.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

// output runs a program and returns what it prints.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir, command.Stderr = dir, os.Stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
