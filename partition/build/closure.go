package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slapmesh/slapmesh/partition/store"
)

// base is in every tree: what the scripts of servers take for granted, and
// what apt does not add because Debian calls it essential.
var base = []string{
	"base-files", "base-passwd", "bash", "coreutils", "dash", "findutils", "grep", "gzip",
	"hostname", "libc-bin", "mawk", "sed", "tzdata",
}

// pruned are packages that others depend on but that a partition has no use
// for: they configure a computer, start and log in, or hold what only the
// scripts of other packages run. A release that names one gets it.
var pruned = []string{
	"adduser", "anacron", "cron", "cron-daemon-common", "dbus", "debconf", "dpkg", "e2fsprogs",
	"init-system-helpers", "iproute2", "libc-l10n", "libpam-modules", "libpam-modules-bin",
	"libpam-runtime", "libpam-systemd", "locales", "login", "logrotate", "lsb-base",
	"mariadb-common", "mount", "mysql-common", "passwd", "perl", "perl-base",
	"postgresql-client-common", "postgresql-common", "procps", "psmisc", "ssl-cert", "systemd",
	"systemd-sysv", "sysvinit-utils", "tar", "ucf", "udev", "usr-is-merged", "usrmerge",
	"util-linux", "util-linux-extra",
}

// resolve returns all packages that names need, sorted by name.
func (a *apt) resolve(ctx context.Context, names []string) ([]Package, error) {
	if err := a.writeStatus(ctx, names); err != nil {
		return nil, err
	}
	args := append([]string{"-q", "-y", "--print-uris", "install", "--"}, base...)
	for _, name := range names {
		if !slices.Contains(base, name) {
			args = append(args, name)
		}
	}
	out, err := a.command(ctx, "apt-get", args...)
	if err != nil {
		return nil, err
	}
	packages, err := parseURIs(out)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(packages, func(x, y Package) int { return strings.Compare(x.Name, y.Name) })
	return packages, nil
}

// writeStatus tells apt that the pruned packages are installed, but for those
// that are named. Their version gets a suffix, or apt would take them for
// another build of the archive's own and install that. (No package may be
// pruned on whose exact version another one depends.)
func (a *apt) writeStatus(ctx context.Context, names []string) error {
	args := []string{"show", "--no-all-versions", "--"}
	for _, name := range pruned {
		if !slices.Contains(names, name) {
			args = append(args, name)
		}
	}
	info, err := os.Stat(a.stamp())
	if err != nil {
		return fmt.Errorf("apt: %w", err)
	}
	is := fmt.Sprintln(info.ModTime().UnixNano(), args)
	if was, err := os.ReadFile(filepath.Join(a.dir, "status.of")); err == nil && string(was) == is {
		return nil
	}
	out, err := a.command(ctx, "apt-cache", args...)
	if err != nil {
		return err
	}
	var status strings.Builder
	for stanza := range strings.SplitSeq(out, "\n\n") {
		if strings.HasPrefix(stanza, "Package: ") {
			status.WriteString(stub(stanza))
		}
	}
	if err := a.write("status", status.String()); err != nil {
		return err
	}
	return a.write("status.of", is)
}

// stub returns what is left of a package that only seems to be installed.
func stub(stanza string) string {
	var out strings.Builder
	for line := range strings.SplitSeq(stanza, "\n") {
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "Package", "Architecture", "Multi-Arch", "Provides":
			fmt.Fprintf(&out, "%s: %s\n", key, value)
		case "Version":
			fmt.Fprintf(&out, "Version: %s+pruned\n", value)
		}
	}
	out.WriteString("Status: install ok installed\nMaintainer: none\nDescription: pruned\n\n")
	return out.String()
}

// parseURIs reads what apt-get --print-uris writes:
//
//	'http://…/dash_0.5.12-2_amd64.deb' dash_0.5.12-2_amd64.deb 96296 SHA256:33ea…
func parseURIs(out string) ([]Package, error) {
	var packages []Package
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "'") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 4 {
			return nil, fmt.Errorf("apt: cannot read %.300q: want URI, file, size and SHA256", line)
		}
		parts := strings.Split(strings.TrimSuffix(fields[1], ".deb"), "_")
		size, err := strconv.ParseInt(fields[2], 10, 64)
		sum, ok := strings.CutPrefix(fields[3], "SHA256:")
		if raw, herr := hex.DecodeString(sum); err != nil || !ok || herr != nil || len(raw) != sha256.Size || len(parts) != 3 || size < 0 {
			return nil, fmt.Errorf("apt: cannot read %.300q: want URI, file, size and SHA256", line)
		}
		version, err := url.PathUnescape(parts[1])
		if err != nil {
			return nil, fmt.Errorf("apt: version of %s: %w", parts[0], err)
		}
		packages = append(packages, Package{parts[0], version, strings.ToLower(sum), size})
	}
	return packages, nil
}

// pollEvery is how often the bytes that have come are counted.
const pollEvery = 200 * time.Millisecond

// download fetches packages into the folder of archives. What is there
// already, from a download that was interrupted, is not fetched again.
func (a *apt) download(ctx context.Context, packages []Package, p *progress) error {
	size := int64(0)
	for _, pkg := range packages {
		size += pkg.Size
	}
	if err := a.checkSpace(size); err != nil {
		return err
	}
	p.step(StepDownload, len(packages), size)
	args := []string{"-q", "download", "--"}
	for _, pkg := range packages {
		if checkSum(a.archive(pkg), pkg) != nil {
			args = append(args, pkg.Name+"="+pkg.Version)
		}
	}
	if len(args) > 3 {
		if err := a.fetch(ctx, args, p); err != nil {
			return fmt.Errorf("download: %w", err)
		}
	}
	for _, pkg := range packages {
		if err := a.settle(pkg); err != nil {
			return fmt.Errorf("download: %w", err)
		}
	}
	p.now.Done = len(packages)
	p.bytes(size)
	return nil
}

// checkSpace refuses to begin what cannot be finished: packages unpack to a
// few times their size.
func (a *apt) checkSpace(size int64) error {
	free, _, err := store.Free(a.dir)
	if err == nil && free < 5*size {
		return fmt.Errorf("download: about %d MiB are needed in %s and %d MiB are free: make room there, or use another folder",
			5*size>>20, a.dir, free>>20)
	}
	return err
}

// fetch runs apt and meanwhile counts the bytes that come.
func (a *apt) fetch(ctx context.Context, args []string, p *progress) error {
	done := make(chan error, 1)
	go func() {
		_, err := a.command(ctx, "apt-get", args...)
		done <- err
	}()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			p.bytes(folderSize(filepath.Join(a.dir, "archives")))
		}
	}
}

func folderSize(dir string) int64 {
	total := int64(0)
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			if info, err := entry.Info(); err == nil {
				total += info.Size()
			}
		}
		return nil
	})
	return total
}

// settle checks a downloaded package and gives its file the name that archive
// expects. apt has verified it against the signed lists; checking again costs
// little and covers a file that was left by an interrupted run.
func (a *apt) settle(p Package) error {
	if checkSum(a.archive(p), p) == nil {
		return nil
	}
	base := strings.TrimSuffix(a.archive(p), ".deb")
	for _, arch := range []string{a.b.arch, "all"} {
		name := base + "_" + arch + ".deb"
		switch err := checkSum(name, p); {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			_ = os.Remove(name)
			return err
		}
		return os.Rename(name, a.archive(p))
	}
	return fmt.Errorf("%s %s: apt did not fetch it", p.Name, p.Version)
}

// checkSum tells whether a file is the package.
func checkSum(name string, p Package) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != p.SHA256 {
		return fmt.Errorf("%s %s: its digest is %.12s…, the signed list says %.12s…", p.Name, p.Version, got, p.SHA256)
	}
	return nil
}

// clean removes what was downloaded: it is unpacked now.
func (a *apt) clean() error {
	dir := filepath.Join(a.dir, "archives")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("apt: %w", err)
	}
	var errs []error
	for _, entry := range entries {
		if !entry.IsDir() {
			errs = append(errs, os.Remove(filepath.Join(dir, entry.Name())))
		}
	}
	return errors.Join(errs...)
}
