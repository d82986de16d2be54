//go:build linux

package host

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

// Packages are what is unpacked under a name.
type Packages struct {
	Name   string
	Suites []string // of Debian, the first that has all of the packages
	Wanted []string
}

// Unpack fills the root of the packages' name with them, unless it is complete, from the first suite that has them.
func (h Host) Unpack(ctx context.Context, p Packages) error {
	root := h.Root(p.Name)
	complete := root + ".complete"
	wanted := strings.Join(append(strings.Fields(rootPackages), p.Wanted...), "\n")
	if had, err := os.ReadFile(complete); err == nil && string(had) == wanted {
		return nil
	}
	var errs []error
	for _, suite := range p.Suites {
		err := h.unpackFrom(ctx, suite, p)
		if err == nil {
			return os.WriteFile(complete, []byte(wanted), 0o644)
		}
		errs = append(errs, fmt.Errorf("from Debian %s: %w", suite, err))
	}
	return errors.Join(errs...)
}

func (h Host) unpackFrom(ctx context.Context, suite string, p Packages) error {
	fmt.Fprintf(os.Stderr, "%s: downloading %s of Debian %s\n", p.Name, strings.Join(p.Wanted, ", "), suite)
	archives, err := h.download(ctx, suite, p)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(h.Root(p.Name)); err != nil {
		return err
	}
	if err := h.layOut(h.Root(p.Name)); err != nil {
		return err
	}
	for _, archive := range archives {
		script := `set -o pipefail; dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink`
		if err := h.Command(ctx, "bash", "-c", script, "unpack", archive, h.Root(p.Name)); err != nil {
			return err
		}
	}
	if err := h.finish(ctx, h.Root(p.Name)); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Dir(archives[0])) // they are not needed again
}

// layOut creates the directories that are links in a Debian of today, and those that packages expect to be there.
func (h Host) layOut(root string) error {
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
func (h Host) finish(ctx context.Context, root string) error {
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
	return h.Command(ctx, "chroot", root, "ldconfig")
}

// download fetches the packages of a server and all that they depend on, for a root that has none yet.
func (h Host) download(ctx context.Context, suite string, p Packages) (archives []string, err error) {
	dir := filepath.Join(h.Cache, "apt-"+p.Name)
	config, err := h.configureApt(ctx, dir, suite)
	if err != nil {
		return nil, err
	}
	if err := h.Command(ctx, "env", "APT_CONFIG="+config, "apt-get", "update", "-qq"); err != nil {
		return nil, err
	}
	install := []string{"APT_CONFIG=" + config, "apt-get", "install", "-qq", "-y", "--download-only"}
	install = append(append(install, strings.Fields(rootPackages)...), p.Wanted...)
	if err := h.Command(ctx, "env", install...); err != nil {
		return nil, err
	}
	archives, err = filepath.Glob(filepath.Join(dir, "cache/archives/*.deb"))
	if err == nil && len(archives) == 0 {
		err = errors.New("apt-get downloaded nothing")
	}
	return archives, err
}

// configureApt writes a configuration of apt that leaves the machine's own alone: its own lists, and nothing installed.
func (h Host) configureApt(ctx context.Context, dir, suite string) (config string, err error) {
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
func (h Host) findMirror(ctx context.Context) (string, error) {
	if h.Mirror != "" {
		return h.Mirror, nil
	}
	out, err := h.Output(ctx, "apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages")
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
