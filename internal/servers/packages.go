//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
	// rootPackages are what a server's own packages take for granted.
	rootPackages = "base-files base-passwd coreutils dash findutils grep hostname libc-bin mawk sed"
)

// unpack fills the root of a server with its packages, unless it is complete, from the first suite that has them.
func (h host) unpack(ctx context.Context, s spec) error {
	root := h.root(s)
	complete := root + ".complete"
	wanted := strings.Join(append(strings.Fields(rootPackages), s.packages...), "\n")
	if had, err := os.ReadFile(complete); err == nil && string(had) == wanted {
		return nil
	}
	var errs []error
	for _, suite := range s.suites {
		err := h.unpackFrom(ctx, suite, s)
		if err == nil {
			return os.WriteFile(complete, []byte(wanted), 0o644)
		}
		errs = append(errs, fmt.Errorf("from Debian %s: %w", suite, err))
	}
	return errors.Join(errs...)
}

func (h host) unpackFrom(ctx context.Context, suite string, s spec) error {
	fmt.Fprintf(os.Stderr, "%s: downloading %s of Debian %s\n", s.name, strings.Join(s.packages, ", "), suite)
	archives, err := h.download(ctx, suite, s)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(h.root(s)); err != nil {
		return err
	}
	if err := h.layOut(h.root(s)); err != nil {
		return err
	}
	for _, archive := range archives {
		script := `set -o pipefail; dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink`
		if err := h.command(ctx, "bash", "-c", script, "unpack", archive, h.root(s)); err != nil {
			return err
		}
	}
	if err := h.finish(ctx, h.root(s)); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Dir(archives[0])) // they are not needed again
}

// layOut creates the directories that are links in a Debian of today, and those that packages expect to be there.
func (h host) layOut(root string) error {
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.MkdirAll(filepath.Join(root, "usr", name), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(filepath.Join("usr", name), filepath.Join(root, name)); err != nil {
			return err
		}
	}
	for _, name := range []string{"proc", "dev", "etc", "run", "tmp", "var/tmp", "srv"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			return err
		}
	}
	return errors.Join(os.Chmod(filepath.Join(root, "tmp"), 0o1777), os.Chmod(filepath.Join(root, "var/tmp"), 0o1777))
}

// finish does what the packages' own scripts would have done, as far as a server needs it.
func (h host) finish(ctx context.Context, root string) error {
	for _, name := range []string{"etc/passwd", "etc/group", "etc/hosts"} {
		content, err := os.ReadFile(filepath.Join("/", name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(root, name), content, 0o644); err != nil {
			return err
		}
	}
	sh := filepath.Join(root, "usr/bin/sh")
	if _, err := os.Lstat(sh); err != nil {
		if err := os.Symlink("dash", sh); err != nil {
			return err
		}
	}
	return h.command(ctx, "chroot", root, "ldconfig")
}

// download fetches the packages of a server and all that they depend on, for a root that has none yet.
func (h host) download(ctx context.Context, suite string, s spec) (archives []string, err error) {
	dir := filepath.Join(h.cache, "apt-"+s.name)
	config, err := h.configureApt(ctx, dir, suite)
	if err != nil {
		return nil, err
	}
	if err := h.command(ctx, "env", "APT_CONFIG="+config, "apt-get", "update", "-qq"); err != nil {
		return nil, err
	}
	install := []string{"APT_CONFIG=" + config, "apt-get", "install", "-qq", "-y", "--download-only"}
	install = append(append(install, strings.Fields(rootPackages)...), s.packages...)
	if err := h.command(ctx, "env", install...); err != nil {
		return nil, err
	}
	archives, err = filepath.Glob(filepath.Join(dir, "cache/archives/*.deb"))
	if err == nil && len(archives) == 0 {
		err = errors.New("apt-get downloaded nothing")
	}
	return archives, err
}

// configureApt writes a configuration of apt that leaves the machine's own alone: its own lists, and nothing installed.
func (h host) configureApt(ctx context.Context, dir, suite string) (config string, err error) {
	mirror, err := h.findMirror(ctx)
	if err != nil {
		return "", err
	}
	for _, name := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return "", err
		}
	}
	config = filepath.Join(dir, "apt.conf")
	files := map[string]string{
		"status":       "", // of dpkg: so that whatever a package needs is downloaded, libc too
		"sources.list": fmt.Sprintf("deb [signed-by=%s] %s %s main\n", keyring, mirror, suite),
		"apt.conf": fmt.Sprintf(`Dir::Etc::sourcelist "%[1]s/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "%[1]s/lists";
Dir::State::status "%[1]s/status";
Dir::Cache "%[1]s/cache";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Translations::DefaultEnabled "false";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
`, dir),
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return "", err
		}
	}
	return config, nil
}

// findMirror returns the address of the Debian archive that apt uses on this machine.
func (h host) findMirror(ctx context.Context) (string, error) {
	if h.mirror != "" {
		return h.mirror, nil
	}
	out, err := h.output(ctx, "apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		origin, uri, _ := strings.Cut(strings.TrimSpace(line), " ")
		if origin == "Debian" && !strings.Contains(uri, "security") {
			return uri, nil
		}
	}
	return "", errors.New("apt has no Debian archive among its sources: run apt-get update, or name one by -mirror")
}
