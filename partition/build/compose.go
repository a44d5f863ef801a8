package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/slapmesh/slapmesh/partition/build/process"
	"github.com/slapmesh/slapmesh/partition/store"
)

// folders are in every tree: places to mount something on, and what programs
// expect.
var folders = []string{
	"data", "dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/sbin", "usr/lib",
	"usr/lib64", "var/cache", "var/lib", "var/log", "var/tmp",
}

// links are in every tree that has nothing in their place.
var links = map[string]string{
	"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64",
	"var/run": "/run", "var/lock": "/run/lock",
	"etc/mtab": "/proc/self/mounts",
}

// files are in every tree that has nothing in their place. A partition mounts
// its own over some of them.
var files = map[string]string{
	"etc/passwd":        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
	"etc/group":         "root:x:0:\nnogroup:x:65534:\n",
	"etc/hosts":         "127.0.0.1 localhost\n::1 localhost\n",
	"etc/hostname":      "localhost\n",
	"etc/resolv.conf":   "",
	"etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n",
	"etc/machine-id":    "",
}

// alternatives are the names that the scripts of packages would have made:
// name, then the programs that it may stand for, best first.
var alternatives = [][]string{
	{"awk", "gawk", "mawk"},
	{"nawk", "gawk", "mawk"},
	{"pager", "less", "more"},
	{"editor", "nano", "vi"},
}

// compose makes the tree of unpacked packages.
func (b *Builder) compose(ctx context.Context, packages []Package, p *progress) (store.Tree, error) {
	c, err := b.cfg.Store.Compose()
	if err != nil {
		return store.Tree{}, err
	}
	defer c.Close()
	for _, pkg := range packages {
		unpacked, err := b.packages.Package(pkg.SHA256)
		if err == nil {
			err = c.Link(ctx, unpacked)
		}
		if err != nil {
			return store.Tree{}, fmt.Errorf("%s %s: %w", pkg.Name, pkg.Version, err)
		}
		p.advance(1)
	}
	for _, finish := range []func(context.Context, *store.Composer) error{addStandard, addAlternatives, addVersioned, addCertificates, addLibraryCache} {
		if err := finish(ctx, c); err != nil {
			return store.Tree{}, err
		}
	}
	return c.Commit()
}

// addStandard adds what every tree has.
func addStandard(_ context.Context, c *store.Composer) error {
	var errs []error
	for _, name := range folders {
		errs = append(errs, c.Mkdir(name))
	}
	for name, target := range links {
		if !c.Has(name) {
			errs = append(errs, c.Symlink(name, target))
		}
	}
	for name, content := range files {
		if !c.Has(name) {
			errs = append(errs, c.Write(name, []byte(content), false))
		}
	}
	return errors.Join(errs...)
}

func addAlternatives(_ context.Context, c *store.Composer) error {
	for _, choice := range alternatives {
		name := "usr/bin/" + choice[0]
		if c.Has(name) {
			continue
		}
		for _, program := range choice[1:] {
			if c.Has("usr/bin/" + program) {
				if err := c.Symlink(name, program); err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}

// versioned are folders of programs that exist in several versions. Their
// packages' scripts would have put wrappers on the path.
var versioned = []string{"usr/lib/postgresql/*/bin"}

// addVersioned puts programs on the path that stand in a folder of their
// version: who looks into a partition asks for psql, not for a path.
func addVersioned(_ context.Context, c *store.Composer) error {
	for _, folder := range versioned {
		programs, err := filepath.Glob(filepath.Join(c.Root(), folder, "*"))
		if err != nil {
			return err
		}
		for _, program := range programs {
			target, err := filepath.Rel(filepath.Join(c.Root(), "usr/bin"), program)
			if err != nil {
				return err
			}
			name := "usr/bin/" + filepath.Base(program)
			if c.Has(name) {
				continue
			}
			if err := c.Symlink(name, target); err != nil {
				return err
			}
		}
	}
	return nil
}

// addCertificates makes the one file of certificates that the scripts of
// ca-certificates would have made.
func addCertificates(_ context.Context, c *store.Composer) error {
	const from, to = "usr/share/ca-certificates", "etc/ssl/certs/ca-certificates.crt"
	if !c.Has(from) || c.Has(to) {
		return nil
	}
	var bundle bytes.Buffer
	err := filepath.WalkDir(filepath.Join(c.Root(), from), func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || path.Ext(name) != ".crt" {
			return err
		}
		data, err := os.ReadFile(name)
		bundle.Write(bytes.TrimRight(data, "\n"))
		bundle.WriteByte('\n')
		return err
	})
	if err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	return c.Write(to, bundle.Bytes(), false)
}

// addLibraryCache makes the cache of the dynamic linker, with the tree's own
// ldconfig: it is linked statically, and the same one always makes the same
// cache.
func addLibraryCache(ctx context.Context, c *store.Composer) error {
	const program, cache, auxiliary = "usr/sbin/ldconfig", "etc/ld.so.cache", "var/cache/ldconfig"
	if e, ok := c.Entry(program); !ok || e.Kind != store.File || c.Has(cache) {
		return nil
	}
	cmd := exec.CommandContext(ctx, filepath.Join(c.Root(), program), "-r", c.Root(), "-X", "-i")
	process.Confine(cmd)
	cmd.Env = []string{"LC_ALL=C"}
	cmd.WaitDelay = 5 * time.Second
	stderr := &limited{limit: 4 << 10}
	cmd.Stderr = stderr
	if err := process.Run(cmd); err != nil {
		return fmt.Errorf("ldconfig: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	left := auxiliary + "/aux-cache"
	if !c.Has(auxiliary) {
		left = auxiliary
	}
	if err := os.RemoveAll(filepath.Join(c.Root(), left)); err != nil {
		return fmt.Errorf("ldconfig: %w", err)
	}
	return c.Adopt(cache)
}
