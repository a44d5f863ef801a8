package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/slapmesh/slapmesh/partition/build/process"
	"github.com/slapmesh/slapmesh/partition/store"
)

// An apt is the computer's apt on a private root. Whoever uses it holds the
// lock of the builder's folder.
type apt struct {
	b       *Builder
	dir     string
	sources string // what it reads
	config  string // the file with its configuration; empty until written
}

// openApt writes the configuration of the private root.
func (b *Builder) openApt(ctx context.Context) (*apt, error) {
	a := &apt{b: b, dir: filepath.Join(b.cfg.Dir, "apt")}
	for _, program := range []string{"apt-get", "apt-cache", "apt-config", "dpkg-deb"} {
		if _, err := lookPath(program); err != nil {
			return nil, fmt.Errorf("%s is not on this computer: Debian packages can only be built where apt and dpkg are installed", program)
		}
	}
	for _, dir := range []string{"etc/parts", "etc/preferences.d", "etc/trusted.d", "etc/sources.d", "state/lists/partial", "archives/partial", "none/partial", "log", "tmp"} {
		if err := os.MkdirAll(filepath.Join(a.dir, dir), 0o755); err != nil {
			return nil, fmt.Errorf("apt: %w", err)
		}
	}
	entries, err := hostEntries(b.cfg.Etc)
	if err != nil {
		return nil, err
	}
	if a.sources, err = writeEntries(entries); err != nil {
		return nil, err
	}
	options, err := a.hostOptions(ctx)
	if err != nil {
		return nil, err
	}
	if _, serr := os.Stat(filepath.Join(a.dir, "status")); serr != nil {
		err = a.write("status", "")
	}
	err = errors.Join(err, a.write("apt.conf", options+a.configuration()), a.write("etc/sources.d/debian.sources", a.sources))
	if err != nil {
		return nil, err
	}
	a.config = filepath.Join(a.dir, "apt.conf")
	return a, nil
}

// write writes a file of the private root, unless it is so already: apt reads
// all lists anew when a file that they depend on is newer than its cache.
func (a *apt) write(name, content string) error {
	full := filepath.Join(a.dir, name)
	if old, err := os.ReadFile(full); err == nil && string(old) == content {
		return nil
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		return fmt.Errorf("apt: %w", err)
	}
	return nil
}

// configuration is what makes the root private. The file is read before
// anything else, so nothing of the computer's own configuration counts.
func (a *apt) configuration() string {
	in := func(name string) string { return filepath.Join(a.dir, name) }
	options := [][2]string{
		{"Dir", a.dir + "/"},
		{"Dir::Etc", in("etc") + "/"},
		{"Dir::Etc::main", "/dev/null"},
		{"Dir::Etc::parts", in("etc/parts")},
		{"Dir::Etc::preferences", "/dev/null"},
		{"Dir::Etc::preferencesparts", in("etc/preferences.d")},
		{"Dir::Etc::trusted", "/dev/null"},
		{"Dir::Etc::trustedparts", in("etc/trusted.d")},
		{"Dir::Etc::sourcelist", "/dev/null"},
		{"Dir::Etc::sourceparts", in("etc/sources.d")},
		{"Dir::Etc::netrc", filepath.Join(a.b.cfg.Etc, "auth.conf")},
		{"Dir::Etc::netrcparts", filepath.Join(a.b.cfg.Etc, "auth.conf.d")},
		{"Dir::State", in("state") + "/"},
		{"Dir::State::status", in("status")},
		{"Dir::Cache", a.dir + "/"},
		{"Dir::Cache::srcpkgcache", ""},
		{"Dir::Cache::archives", in("none") + "/"}, // so that --print-uris names every package
		{"Dir::Log", in("log") + "/"},
		{"APT::Architecture", a.b.arch},
		{"APT::Architectures::", a.b.arch},
		{"APT::Install-Recommends", "false"},
		{"APT::Install-Suggests", "false"},
		{"APT::Sandbox::User", ""},
		{"APT::Get::AllowUnauthenticated", "false"},
		{"Acquire::AllowInsecureRepositories", "false"},
		{"Acquire::AllowWeakRepositories", "false"},
		{"Acquire::AllowDowngradeToInsecureRepositories", "false"},
		{"Acquire::ForceHash", "SHA256"},
		{"Acquire::Languages", "none"},
		{"Acquire::Retries", "3"},
	}
	var out strings.Builder
	for _, option := range options {
		fmt.Fprintf(&out, "%s \"%s\";\n", option[0], option[1])
	}
	return out.String()
}

// maxOutput bounds what is kept of a program's output.
const maxOutput = 64 << 20

// command runs a program of apt and returns its output. An error has apt's
// own lines.
func (a *apt) command(ctx context.Context, name string, args ...string) (string, error) {
	program, err := lookPath(name)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, program, args...)
	process.Confine(cmd)
	cmd.Dir = filepath.Join(a.dir, "archives")
	cmd.Env = append([]string{"PATH=" + searchPath, "LC_ALL=C.UTF-8", "TMPDIR=" + filepath.Join(a.dir, "tmp")}, a.b.cfg.Environ...)
	if a.config != "" {
		cmd.Env = append(cmd.Env, "APT_CONFIG="+a.config)
	}
	stdout, stderr := &limited{limit: maxOutput}, &limited{limit: 64 << 10}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = 5 * time.Second
	err = process.Run(cmd)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", a.explain(name, err, stderr.String())
	}
	return stdout.String(), nil
}

// explain makes an error of what apt complained about.
func (a *apt) explain(name string, err error, stderr string) error {
	var said []string
	for line := range strings.Lines(stderr) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "E: "); ok && len(said) < 5 {
			said = append(said, text)
		}
	}
	if len(said) == 0 {
		tail := strings.TrimSpace(stderr)
		return fmt.Errorf("%s: %w: %s", name, err, tail[max(0, len(tail)-500):])
	}
	text := strings.Join(said, "; ")
	if missing := notInArchive(said); missing != "" {
		return fmt.Errorf("apt: no package %s in the Debian archive that this computer uses: look for it with apt-cache search", missing)
	}
	if free, _, ferr := store.Free(a.dir); ferr == nil && (strings.Contains(text, "No space left") || strings.Contains(text, "enough free space")) {
		return fmt.Errorf("apt: no space left in %s (%d MiB free): make room there, or use another folder: %s", a.dir, free>>20, text)
	}
	return fmt.Errorf("apt: %s", text)
}

// notInArchive returns the packages that apt did not know.
func notInArchive(said []string) string {
	var names []string
	for _, line := range said {
		if name, ok := strings.CutPrefix(line, "Unable to locate package "); ok {
			names = append(names, name)
		}
		if rest, ok := strings.CutPrefix(line, "Package '"); ok && strings.HasSuffix(rest, "' has no installation candidate") {
			names = append(names, strings.TrimSuffix(rest, "' has no installation candidate"))
		}
	}
	return strings.Join(names, ", ")
}

// stamp is the file whose age is that of the lists of these sources.
func (a *apt) stamp() string {
	sum := sha256.Sum256([]byte(a.sources))
	return filepath.Join(a.dir, "refreshed-"+hex.EncodeToString(sum[:8]))
}

// refresh reads the lists of packages anew when they are old, or when the
// sources have changed. Without a network old lists are better than none.
func (a *apt) refresh(ctx context.Context, p *progress) error {
	stamp := a.stamp()
	info, err := os.Stat(stamp)
	known := err == nil
	now := a.b.cfg.Clock()
	if known && now.Sub(info.ModTime()).Abs() < a.b.cfg.Refresh {
		return nil
	}
	p.say("asking the archive")
	_, err = a.command(ctx, "apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update")
	switch {
	case err == nil:
	case known && ctx.Err() == nil:
		a.b.cfg.Log.Warn("lists of packages are old and cannot be read anew", "since", info.ModTime(), "err", err)
		p.say("the archive does not answer: using the lists of " + info.ModTime().Format(time.DateOnly))
		return nil
	default:
		return fmt.Errorf("lists of packages: %w", err)
	}
	if err := os.WriteFile(stamp, nil, 0o644); err != nil {
		return fmt.Errorf("apt: %w", err)
	}
	return os.Chtimes(stamp, now, now)
}

// archive is where a package is downloaded to.
func (a *apt) archive(p Package) string {
	return filepath.Join(a.dir, "archives", archiveName(p))
}

// archiveName is what apt calls the file of a package, with the architecture
// left to it.
func archiveName(p Package) string {
	return p.Name + "_" + strings.ReplaceAll(p.Version, ":", "%3a") + ".deb"
}

// searchPath is where programs are looked for. Ordinary users often lack the
// sbin folders.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func lookPath(name string) (string, error) {
	for _, dir := range filepath.SplitList(searchPath) {
		full := filepath.Join(dir, name)
		if info, err := os.Stat(full); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return full, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
}

// limited keeps the first bytes of an output and drops the others.
type limited struct {
	bytes.Buffer
	limit int
}

func (l *limited) Write(data []byte) (int, error) {
	if room := l.limit - l.Len(); room > 0 {
		_, _ = l.Buffer.Write(data[:min(room, len(data))])
	}
	return len(data), nil
}

// openDeb returns how to read the files of a package.
func openDeb(name string) func(context.Context) (io.ReadCloser, error) {
	return func(ctx context.Context) (io.ReadCloser, error) {
		program, err := lookPath("dpkg-deb")
		if err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(ctx, program, "--fsys-tarfile", name)
		process.Confine(cmd)
		stderr := &limited{limit: 4 << 10}
		cmd.Stderr = stderr
		cmd.WaitDelay = 5 * time.Second
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		return &deb{out, cmd, stderr}, nil
	}
}

// A deb is a package that is being unpacked by dpkg-deb.
type deb struct {
	io.ReadCloser
	cmd    *exec.Cmd
	stderr *limited
}

// Close ends the program and says why it failed.
func (d *deb) Close() error {
	cerr := d.ReadCloser.Close()
	err := d.cmd.Wait()
	if err != nil {
		return fmt.Errorf("dpkg-deb: %w: %s", err, strings.TrimSpace(d.stderr.String()))
	}
	if errors.Is(cerr, os.ErrClosed) {
		return nil
	}
	return cerr
}
