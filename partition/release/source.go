package release

import (
	"net/url"
	"path"
	"regexp"
	"strings"

	"go.starlark.net/starlark"
)

// A SourceKind says how a source is made into files.
type SourceKind string

// The kinds of sources.
const (
	SourceDebian  SourceKind = "debian"  // packages of the Debian archive
	SourceArchive SourceKind = "archive" // a tar or zip archive
	SourceOCI     SourceKind = "oci"     // an image of a registry
	SourceGo      SourceKind = "golang"  // programs of a Go module, built
	SourceNPM     SourceKind = "npm"     // what a package-lock.json lists
	SourceGit     SourceKind = "git"     // a commit
	SourceFolder  SourceKind = "folder"  // files of the profile itself
)

// A Source is one thing that goes into the tree of a release. Kind says which
// of the other fields count. All but Debian packages name their content for
// good: whoever makes the source later, or elsewhere, has the same.
type Source struct {
	Kind     SourceKind `json:"kind" cbor:"1,keyasint"`
	Packages []string   `json:"packages,omitempty" cbor:"2,keyasint,omitempty"` // debian: names; golang: patterns to build

	// URL is where an archive or a repository is, the name of an image without
	// its digest, or a module as path@version.
	URL string `json:"url,omitempty" cbor:"120,keyasint,omitempty"`
	// Digest is the SHA-256 of an archive (hexadecimal) or an image (sha256:…),
	// the sum of a module (h1:…), or a commit.
	Digest string `json:"digest,omitempty" cbor:"121,keyasint,omitempty"`
	// Into is the folder of the tree that it goes to; "" is the root.
	Into string `json:"into,omitempty" cbor:"122,keyasint,omitempty"`
	// Strip is how many leading folders of an archive's paths are left out.
	Strip int `json:"strip,omitempty" cbor:"123,keyasint,omitempty"`
	// Files are those of a folder, of a module in the profile, and the lock of
	// npm, by path.
	Files map[string][]byte `json:"files,omitempty" cbor:"124,keyasint,omitempty"`
	// IgnoreScripts leaves out what packages of npm would run when installed.
	IgnoreScripts bool `json:"ignore_scripts,omitempty" cbor:"125,keyasint,omitempty"`
}

// NPMLock is the name of the one file of a source of kind npm.
const NPMLock = "package-lock.json"

const (
	maxURL   = 1000
	maxStrip = 16
)

var (
	packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]{1,99}$`)
	hexSHA256   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	gitCommit   = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	moduleName  = regexp.MustCompile(`^[a-z0-9][A-Za-z0-9.-]*\.[A-Za-z0-9.-]+(/[A-Za-z0-9._~+-]+)*@v[0-9][0-9A-Za-z.+-]*$`)
	moduleSum   = regexp.MustCompile(`^h1:[A-Za-z0-9+/]{43}=$`)
	goPattern   = regexp.MustCompile(`^\.(/[A-Za-z0-9_.-]+)*$`)
	imageName   = regexp.MustCompile(`^[a-z0-9][A-Za-z0-9.:-]*(/[a-z0-9]+([._-]+[a-z0-9]+)*)+@sha256:[0-9a-f]{64}$`)
)

func newSource(s Source) starlark.Value { return sourceValue{opaque("source"), &s} }

// declareDebian is debian("package", …).
func declareDebian(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(kwargs) > 0 {
		return nil, faultf("debian: unexpected %s", kwargs[0][0]).expected(`names of packages only, as in debian("nginx", "php-fpm")`)
	}
	names, err := readStrings("debian", args, maxPackages)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, faultf("debian: no package named").expected(`debian("nginx")`)
	}
	for _, name := range names {
		if !packageName.MatchString(name) {
			return nil, faultf("debian: %s is not the name of a package", show(name)).expected("small letters, digits and + . -")
		}
	}
	return newSource(Source{Kind: SourceDebian, Packages: names}), nil
}

// declareArchive is archive("https://…", sha256 = "…", into = "…", strip = 1).
func declareArchive(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s := Source{Kind: SourceArchive}
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "url", &s.URL, "sha256", &s.Digest, "into?", &s.Into, "strip?", &s.Strip); err != nil {
		return nil, err
	}
	if err := checkURL("archive", s.URL, "https", "http", "file"); err != nil {
		return nil, err
	}
	switch {
	case !hexSHA256.MatchString(s.Digest):
		return nil, faultf("archive: sha256 %s", show(s.Digest)).expected("64 small hexadecimal digits, as sha256sum prints them")
	case s.Strip < 0 || s.Strip > maxStrip:
		return nil, faultf("archive: strip %d", s.Strip).expected("how many leading folders to leave out, from 0 to %d", maxStrip)
	}
	return finishSource("archive", s)
}

// declareOCI is oci("registry/name@sha256:…").
func declareOCI(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s := Source{Kind: SourceOCI}
	var image string
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "image", &image, "into?", &s.Into); err != nil {
		return nil, err
	}
	if len(image) > maxURL || !imageName.MatchString(image) {
		return nil, faultf("oci: image %s", show(image)).
			expected(`"registry/name@sha256:…", as in oci("docker.io/library/alpine@sha256:…"): a tag may become another image, a digest cannot`)
	}
	s.URL, s.Digest, _ = strings.Cut(image, "@")
	return finishSource("oci", s)
}

// declareGolang is golang("example.org/x@v1.2.3", sum = "h1:…"), or
// golang("./server") of a module in a folder of the profile.
func (l *loader) declareGolang(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s := Source{Kind: SourceGo, Packages: []string{"."}}
	var packages *starlark.List
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "module", &s.URL, "sum?", &s.Digest, "packages?", &packages); err != nil {
		return nil, err
	}
	if packages != nil {
		var err error
		if s.Packages, err = readStrings("golang: packages", packages, maxPackages); err != nil {
			return nil, err
		}
	}
	if goPattern.MatchString(s.URL) && s.Digest == "" {
		s.Files = l.filesIn(s.URL[min(len(s.URL), 2):])
		if s.Files["go.mod"] == nil {
			return nil, faultf("golang: no file go.mod in %s", show(s.URL)).expected("the folder of a module beside %s, which travels with it", Main)
		}
	}
	switch {
	case s.Files != nil:
	case len(s.URL) > maxURL || !moduleName.MatchString(s.URL):
		return nil, faultf("golang: module %s", show(s.URL)).expected(`"example.org/path@v1.2.3", or "./folder" of the profile`)
	case !moduleSum.MatchString(s.Digest):
		return nil, faultf("golang: sum %s", show(s.Digest)).
			expected(`"h1:…", the module's line in a go.sum, or what go mod download -json %s prints as Sum`, s.URL)
	}
	if len(s.Packages) == 0 {
		return nil, faultf("golang: no packages").expected(`packages = ["./cmd/server"]`)
	}
	for _, p := range s.Packages {
		if !goPattern.MatchString(p) || strings.Contains(p, "..") {
			return nil, faultf("golang: package %s", show(p)).expected(`a folder of the module, as in "./cmd/server"`)
		}
	}
	return newSource(s), nil
}

// declareGit is git("https://…", commit = "…", into = "…").
func declareGit(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s := Source{Kind: SourceGit}
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "url", &s.URL, "commit", &s.Digest, "into", &s.Into); err != nil {
		return nil, err
	}
	if err := checkURL("git", s.URL, "https", "http", "file"); err != nil {
		return nil, err
	}
	if !gitCommit.MatchString(s.Digest) {
		return nil, faultf("git: commit %s", show(s.Digest)).expected("all 40 hexadecimal digits: a branch or a tag may become another commit")
	}
	return finishSource("git", s)
}

// declareNPM is npm("package-lock.json", into = "…").
func (l *loader) declareNPM(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s := Source{Kind: SourceNPM}
	var lock string
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "lock", &lock, "into", &s.Into, "ignore_scripts?", &s.IgnoreScripts); err != nil {
		return nil, err
	}
	content, ok := l.bundle.File(lock)
	if !ok {
		return nil, faultf("npm: no file %s in the profile", show(lock)).expected("the package-lock.json that npm install wrote, copied into the profile's folder")
	}
	s.Files = map[string][]byte{NPMLock: content}
	return finishSource("npm", s)
}

// declareFolder is folder("site", into = "…").
func (l *loader) declareFolder(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s := Source{Kind: SourceFolder}
	var name string
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "folder", &name, "into", &s.Into); err != nil {
		return nil, err
	}
	s.Files = l.filesIn(strings.TrimSuffix(name, "/"))
	if len(s.Files) == 0 {
		return nil, faultf("folder: no files in %s", show(name)).expected("a folder beside %s, which travels with it", Main)
	}
	return finishSource("folder", s)
}

// filesIn returns the files of a folder of the profile, by path below it.
func (l *loader) filesIn(folder string) map[string][]byte {
	files := map[string][]byte{}
	for _, file := range l.bundle.Names() {
		if rest, ok := strings.CutPrefix(file, folder+"/"); ok {
			files[rest], _ = l.bundle.File(file)
		}
	}
	return files
}

// finishSource checks where a source goes to.
func finishSource(what string, s Source) (starlark.Value, error) {
	s.Into = strings.TrimSuffix(strings.TrimPrefix(s.Into, "/"), "/")
	if s.Into != "" && (checkPath(s.Into) != nil || path.Clean(s.Into) != s.Into) {
		return nil, faultf("%s: into %s", what, show(s.Into)).expected(`a folder of the tree, as in "opt/app"`)
	}
	return newSource(s), nil
}

func checkURL(what, text string, schemes ...string) error {
	u, err := url.Parse(text)
	good := err == nil && len(text) <= maxURL && u.User == nil && u.Fragment == "" &&
		(u.Scheme == "file" && u.Host == "" && path.IsAbs(u.Path) || u.Scheme != "file" && u.Host != "")
	for _, scheme := range schemes {
		if good && u.Scheme == scheme {
			return nil
		}
	}
	return faultf("%s: url %s", what, show(text)).expected("%s://…, without a user", strings.Join(schemes, "://…, "))
}
