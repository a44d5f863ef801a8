package source

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/slapmesh/slapmesh/partition/release"
)

// registry is npm's own, in its domain. Locks name it whichever was used.
const (
	npmDomain = "npmjs.org"
	registry  = "https://registry." + npmDomain
)

// maxNPM bounds the packages of a lock.
const maxNPM = 5000

// A lockFile is a package-lock.json of version 2 or 3.
type lockFile struct {
	Version  int                   `json:"lockfileVersion"`
	Packages map[string]npmPackage `json:"packages"`
}

// An npmPackage is one place in node_modules.
type npmPackage struct {
	Name      string          `json:"name"`
	Version   string          `json:"version"`
	Resolved  string          `json:"resolved"`
	Integrity string          `json:"integrity"`
	Link      bool            `json:"link"`
	Dev       bool            `json:"dev"`
	DevOpt    bool            `json:"devOptional"`
	Optional  bool            `json:"optional"`
	InBundle  bool            `json:"inBundle"`
	Scripts   bool            `json:"hasInstallScript"`
	OS        []string        `json:"os"`
	CPU       []string        `json:"cpu"`
	Libc      []string        `json:"libc"`
	Bin       json.RawMessage `json:"bin"`
}

var (
	npmName = regexp.MustCompile(`^(@[a-z0-9~-][a-z0-9._~-]*/)?[A-Za-z0-9~-][A-Za-z0-9._~-]*$`)
	npmPath = regexp.MustCompile(`^node_modules/`)
	npmBin  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
)

// npm fetches what a lock lists, and lays it out as npm would. npm itself is
// not run, nor anything of the packages.
func (f *Fetcher) npm(ctx context.Context, s release.Source, report func(Progress)) (Archive, error) {
	var lock lockFile
	if err := json.Unmarshal(s.Files[release.NPMLock], &lock); err != nil {
		return Archive{}, fmt.Errorf("%s: %w", release.NPMLock, err)
	}
	if lock.Version < 2 || lock.Version > 3 || len(lock.Packages) > maxNPM {
		return Archive{}, fmt.Errorf("%s: version %d with %d packages: version 2 or 3, as npm 7 and later write it, with at most %d expected",
			release.NPMLock, lock.Version, len(lock.Packages), maxNPM)
	}
	var places []string
	for _, where := range slices.Sorted(maps.Keys(lock.Packages)) {
		wanted, err := f.wanted(where, lock.Packages[where], s.IgnoreScripts)
		if err != nil {
			return Archive{}, fmt.Errorf("%s: %.200q: %w", release.NPMLock, where, err)
		}
		if wanted {
			places = append(places, where)
		}
	}
	if len(places) == 0 {
		return Archive{}, fmt.Errorf("%s: it lists no packages", release.NPMLock)
	}
	total := int64(0)
	files := make(map[string]string, len(places))
	for n, where := range places {
		p := lock.Packages[where]
		want, err := integrity(p.Integrity)
		if err != nil {
			return Archive{}, fmt.Errorf("%s: %.200q: %w", release.NPMLock, where, err)
		}
		name, err := f.download(ctx, f.tarball(where, p), want, func(r Progress) {
			r.What = fmt.Sprintf("%s (package %d of %d)", r.What, n+1, len(places))
			report(r)
		})
		if err != nil {
			return Archive{}, fmt.Errorf("%s %s: %w", where, p.Version, err)
		}
		files[where] = name
		total += size(name)
	}
	open := func(context.Context) (io.ReadCloser, error) {
		return write(func(w *tar.Writer) error { return layOut(w, s.Into, lock, places, files) }), nil
	}
	return Archive{Name: "npm", Version: s.Into, Size: total, Open: open}, nil
}

// wanted tells whether a place of a lock is to be filled.
func (f *Fetcher) wanted(where string, p npmPackage, ignoreScripts bool) (bool, error) {
	cpu := map[string]string{"amd64": "x64", "386": "ia32"}
	switch {
	case where == "", p.Dev, p.DevOpt, p.InBundle:
		return false, nil
	case !fits(p.OS, "linux"), !fits(p.CPU, cmp.Or(cpu[f.Arch], f.Arch)), !fits(p.Libc, "glibc"):
		if !p.Optional {
			return false, errors.New("is not made for this kind of computer")
		}
		return false, nil
	case p.Link || !npmPath.MatchString(where):
		return false, errors.New("is a workspace or a link: put its files into the profile, with folder(…)")
	case !npmName.MatchString(nameOf(where, p)):
		return false, errors.New("has no sound name")
	case p.Scripts && !ignoreScripts:
		return false, errors.New("runs a script when it is installed, which is not done: npm(…, ignore_scripts = True) leaves it out, if the package works without")
	}
	return true, nil
}

// fits tells whether a list of what a package is for, or not for ("!x"), has x.
func fits(list []string, x string) bool {
	only := false
	for _, item := range list {
		if not, ok := strings.CutPrefix(item, "!"); ok {
			if not == x {
				return false
			}
			continue
		}
		if item == x {
			return true
		}
		only = true
	}
	return !only
}

func nameOf(where string, p npmPackage) string {
	return cmp.Or(p.Name, where[strings.LastIndex(where, "node_modules/")+len("node_modules/"):])
}

// tarball returns the URL of a package. A lock need not say it.
func (f *Fetcher) tarball(where string, p npmPackage) string {
	name := nameOf(where, p)
	from := cmp.Or(p.Resolved, registry+"/"+name+"/-/"+path.Base(name)+"-"+url.PathEscape(p.Version)+".tgz")
	if rest, ok := strings.CutPrefix(from, registry+"/"); ok && f.NPM != "" {
		from = strings.TrimSuffix(f.NPM, "/") + "/" + rest
	}
	return from
}

// integrity reads what npm writes: a list of hashes, of which the best counts.
func integrity(text string) (sum, error) {
	for _, name := range []string{"sha512", "sha384", "sha256"} {
		for field := range strings.FieldsSeq(text) {
			if encoded, ok := strings.CutPrefix(field, name+"-"); ok {
				want, err := base64.StdEncoding.DecodeString(encoded)
				s := sum{name, want}
				if err != nil || len(want) != s.hash().Size() {
					return sum{}, fmt.Errorf("integrity %.100q: not a %s", text, name)
				}
				return s, nil
			}
		}
	}
	return sum{}, fmt.Errorf("integrity %.100q: SHA-512 expected: write the lock with a present-day npm", text)
}

// layOut writes node_modules.
func layOut(w *tar.Writer, folder string, lock lockFile, places []string, files map[string]string) error {
	for _, where := range places {
		file, err := os.Open(files[where])
		if err != nil {
			return err
		}
		archive, err := openArchive(file, func(h *tar.Header) bool { return place(h, into(folder, where), 1) })
		if err == nil {
			err = errors.Join(copyTar(archive, w, func(*tar.Header) bool { return true }), archive.Close())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		if err := linkPrograms(w, folder, where, lock.Packages[where]); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
	}
	return nil
}

// linkPrograms makes the links in .bin. Only packages at the top have them.
func linkPrograms(w *tar.Writer, folder, where string, p npmPackage) error {
	if len(p.Bin) == 0 || strings.Count(where, "node_modules/") > 1 {
		return nil
	}
	programs := map[string]string{}
	var one string
	if json.Unmarshal(p.Bin, &one) == nil {
		programs[path.Base(nameOf(where, p))] = one
	} else if err := json.Unmarshal(p.Bin, &programs); err != nil {
		return fmt.Errorf("bin: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		target := path.Clean("/" + programs[name])[1:]
		if !npmBin.MatchString(name) || target == "" {
			return fmt.Errorf("bin: %.100q is no name of a program", name)
		}
		from := strings.TrimPrefix(where, "node_modules/")
		h := &tar.Header{Name: into(folder, "node_modules/.bin/"+name), Typeflag: tar.TypeSymlink, Linkname: "../" + from + "/" + target, Mode: 0o777}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
	}
	return nil
}
