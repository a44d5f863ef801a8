package build_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	registryname "github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"

	"github.com/slapmesh/slapmesh/partition/build"
	"github.com/slapmesh/slapmesh/partition/release"
)

// TestImages takes images from a registry on this computer.
func TestImages(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	push := func(layers ...[]byte) string {
		t.Helper()
		image := empty.Image
		for _, content := range layers {
			layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
			if err == nil {
				image, err = mutate.AppendLayers(image, layer)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		ref, err := registryname.ParseReference(host + "/team/app:latest")
		if err == nil {
			err = remote.Write(ref, image)
		}
		digest, derr := image.Digest()
		if err := errors.Join(err, derr); err != nil {
			t.Fatal(err)
		}
		return digest.String()
	}
	source := func(digest string) []release.Source {
		return []release.Source{{Kind: release.SourceOCI, URL: host + "/team/app", Digest: digest}}
	}
	base := tarOf(
		item{name: "bin", kind: tar.TypeSymlink, link: "usr/bin"}, item{name: "usr/bin/tool", content: "old"}, item{name: "usr/bin/kept", content: "kept"},
		item{name: "etc/gone", content: "x"}, item{name: "etc/folder/a", content: "x"}, item{name: "etc/cleared/a", content: "x"},
		item{name: "etc/turned/a", content: "x"}, item{name: "dev/null", kind: tar.TypeChar},
	)
	top := tarOf(
		item{name: "usr/bin/tool", content: "new"}, item{name: "usr/bin/again", kind: tar.TypeLink, link: "usr/bin/tool"},
		item{name: "etc/.wh.gone"}, item{name: "etc/.wh.folder"}, item{name: "etc/cleared/.wh..wh..opq"}, item{name: "etc/cleared/b", content: "b"},
		item{name: "etc/turned", kind: tar.TypeSymlink, link: "/tmp"}, item{name: "lower", kind: tar.TypeLink, link: "usr/bin/kept"},
	)
	t.Run("layers", func(t *testing.T) {
		b, s := alone(t, nil)
		tree, err := b.Build(t.Context(), source(push(base, top)), nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"usr/bin/tool": "new", "usr/bin/again": "new", "usr/bin/kept": "kept", "etc/cleared/b": "b", "lower": "kept"} {
			if got := read(t, tree, name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		m, err := s.TreeManifest(tree.Digest)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range m {
			if strings.Contains(e.Path, ".wh.") || e.Path == "etc/gone" || e.Path == "etc/cleared/a" || strings.HasPrefix(e.Path, "etc/folder") || strings.HasPrefix(e.Path, "etc/turned/") || e.Path == "dev/null" {
				t.Errorf("%s is there", e.Path)
			}
		}
	})
	for name, test := range map[string]struct {
		digest, err string
	}{
		"another digest": {"sha256:" + strings.Repeat("0", 64), "registry"},
		"leads out":      {push(tarOf(item{name: "../../x", content: "x"})), "does not stay within"},
		"through a link": {push(tarOf(item{name: "a", kind: tar.TypeSymlink, link: "/etc"}, item{name: "a/b", content: "x"})), "leads through"},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := alone(t, nil)
			if _, err := b.Build(t.Context(), source(test.digest), nil); err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
		})
	}
}

// TestNPM lays out what a lock lists, from a registry of the test.
func TestNPM(t *testing.T) {
	one := gz(t, tarOf(item{name: "package/package.json", content: `{"name":"one"}`}, item{name: "package/cli.js", content: "cli"}))
	two := gz(t, tarOf(item{name: "two/index.js", content: "two"}))
	out := gz(t, tarOf(item{name: "package/../../../x", content: "x"}))
	served := map[string][]byte{"/one/-/one-1.0.0.tgz": one, "/@team/two/-/two-2.0.0.tgz": two, "/out/-/out-1.0.0.tgz": out}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(served[r.URL.Path]) }))
	defer server.Close()
	integrity := func(data []byte) string {
		sum := sha512.Sum512(data)
		return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
	}
	const npm = "npmjs.org"
	type lock map[string]map[string]any
	ok := lock{
		"":                                 {"name": "app"},
		"node_modules/one":                 {"version": "1.0.0", "resolved": "https://registry." + npm + "/one/-/one-1.0.0.tgz", "integrity": integrity(one), "bin": map[string]string{"run-one": "./cli.js"}},
		"node_modules/@team/two":           {"version": "2.0.0", "integrity": integrity(two)},
		"node_modules/only-for-developers": {"version": "1.0.0", "dev": true},
		"node_modules/mac":                 {"version": "1.0.0", "optional": true, "os": []string{"darwin"}},
	}
	for name, test := range map[string]struct {
		lock lock
		err  string
	}{
		"all is well":     {ok, ""},
		"wrong integrity": {lock{"node_modules/one": {"version": "1.0.0", "integrity": integrity(two)}}, "it is another file"},
		"weak integrity":  {lock{"node_modules/one": {"version": "1.0.0", "integrity": "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="}}, "SHA-512 expected"},
		"a script":        {lock{"node_modules/one": {"version": "1.0.0", "integrity": integrity(one), "hasInstallScript": true}}, "ignore_scripts"},
		"leads out":       {lock{"node_modules/out": {"version": "1.0.0", "integrity": integrity(out)}}, "does not stay within"},
		"a place outside": {lock{"node_modules/../../x": {"version": "1.0.0", "integrity": integrity(one), "name": "one"}}, "does not stay within"},
		"a workspace":     {lock{"packages/a": {"version": "1.0.0"}}, "workspace"},
		"nothing":         {lock{}, "lists no packages"},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(map[string]any{"lockfileVersion": 3, "packages": test.lock})
			if err != nil {
				t.Fatal(err)
			}
			b, _ := alone(t, func(c *build.Config) { c.NPM, c.Private = server.URL, false })
			tree, err := b.Build(t.Context(), []release.Source{{Kind: release.SourceNPM, Into: "srv/app", Files: map[string][]byte{release.NPMLock: text}}}, nil)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, tree, "srv/app/node_modules/.bin/run-one") + read(t, tree, "srv/app/node_modules/@team/two/index.js"); got != "clitwo" {
				t.Errorf("files %q", got)
			}
		})
	}
}

// TestGit takes a commit of a repository of this computer.
func TestGit(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.org"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Skipf("skipped, for git does not work here: %v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q")
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "a"), []byte("first"), 0o644), os.Symlink("a", filepath.Join(dir, "b"))); err != nil {
		t.Fatal(err)
	}
	git("add", ".")
	git("commit", "-q", "-m", "first")
	first := git("rev-parse", "HEAD")
	git("commit", "-q", "-m", "second", "--allow-empty")
	b, _ := alone(t, nil)
	source := release.Source{Kind: release.SourceGit, URL: "file://" + dir, Digest: first, Into: "srv/site"}
	tree, err := b.Build(t.Context(), []release.Source{source}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, tree, "srv/site/b"); got != "first" {
		t.Errorf("content %q", got)
	}
	source.Digest = strings.Repeat("1", 40)
	if _, err := b.Build(t.Context(), []release.Source{source}, nil); err == nil || !strings.Contains(err.Error(), "1111") {
		t.Errorf("a commit that is not there: %v", err)
	}
}

// TestGoModule builds a program of a module that needs another one, both from a
// proxy of the test.
func TestGoModule(t *testing.T) {
	for _, program := range []string{"go", "bwrap"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("skipped, for %s is not on this computer", program)
		}
	}
	served := map[string][]byte{}
	publish := func(path, version string, files map[string]string) (sum, modSum string) {
		t.Helper()
		dir := t.TempDir()
		for name, content := range files {
			full := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		var out bytes.Buffer
		err := modzip.CreateFromDir(&out, module.Version{Path: path, Version: version}, dir)
		local := filepath.Join(t.TempDir(), "x.zip")
		if err == nil {
			err = os.WriteFile(local, out.Bytes(), 0o644)
		}
		if err == nil {
			sum, err = dirhash.HashZip(local, dirhash.Hash1)
		}
		if err == nil {
			modSum, err = dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(files["go.mod"])), nil })
		}
		if err != nil {
			t.Fatal(err)
		}
		at := "/" + path + "/@v/" + version
		served[at+".zip"], served[at+".mod"], served[at+".info"] = out.Bytes(), []byte(files["go.mod"]), []byte(`{"Version":"`+version+`"}`)
		return sum, modSum
	}
	depSum, depMod := publish("example.org/dep", "v1.0.0", map[string]string{"go.mod": "module example.org/dep\n", "dep.go": "package dep\n\nconst Word = \"hello\"\n"})
	sum, _ := publish("example.org/app", "v1.2.3", map[string]string{
		"go.mod":            "module example.org/app\n\nrequire example.org/dep v1.0.0\n",
		"go.sum":            fmt.Sprintf("example.org/dep v1.0.0 %s\nexample.org/dep v1.0.0/go.mod %s\n", depSum, depMod),
		"cmd/greet/main.go": "package main\n\nimport \"example.org/dep\"\n\nfunc main() { println(dep.Word) }\n",
	})
	proxy := func() *httptest.Server {
		served := maps.Clone(served)
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if content, ok := served[r.URL.Path]; ok {
				_, _ = w.Write(content)
				return
			}
			http.NotFound(w, r)
		}))
	}
	server := proxy()
	defer server.Close()
	b, _ := alone(t, func(c *build.Config) { c.Environ, c.Private = []string{"GOPROXY=" + server.URL}, false })
	source := release.Source{Kind: release.SourceGo, URL: "example.org/app@v1.2.3", Digest: sum, Packages: []string{"./cmd/greet"}}
	tree, err := b.Build(t.Context(), []release.Source{source}, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(tree.Path, "usr/bin/greet")).CombinedOutput()
	if err != nil || string(out) != "hello\n" {
		t.Errorf("it says %q (%v)", out, err)
	}
	source.Digest = depSum
	if _, err := b.Build(t.Context(), []release.Source{source}, nil); err == nil || !strings.Contains(err.Error(), "was expected: it is another module") {
		t.Errorf("another sum: %v", err)
	}
	served["/example.org/dep/@v/v1.0.0.zip"] = served["/example.org/app/@v/v1.2.3.zip"]
	changed := proxy()
	defer changed.Close()
	b, _ = alone(t, func(c *build.Config) { c.Environ, c.Private = []string{"GOPROXY=" + changed.URL}, false })
	source.Digest = sum
	if _, err := b.Build(t.Context(), []release.Source{source}, nil); err == nil {
		t.Error("a changed dependency is built")
	}
}

// TestFolder combines files of the profile with an archive.
func TestFolder(t *testing.T) {
	content := gz(t, tarOf(item{name: "a", content: "a"}))
	local := filepath.Join(t.TempDir(), "x.tgz")
	if err := os.WriteFile(local, content, 0o644); err != nil {
		t.Fatal(err)
	}
	b, _ := alone(t, nil)
	tree, err := b.Build(t.Context(), []release.Source{
		{Kind: release.SourceArchive, URL: "file://" + local, Digest: hash(content), Into: "srv"},
		{Kind: release.SourceFolder, Into: "srv/site", Files: map[string][]byte{"index.html": []byte("hi")}},
	}, nil)
	if err != nil || read(t, tree, "srv/a")+read(t, tree, "srv/site/index.html") != "ahi" {
		t.Errorf("%v", err)
	}
	_, err = b.Build(t.Context(), []release.Source{
		{Kind: release.SourceFolder, Into: "srv", Files: map[string][]byte{"a": []byte("one")}},
		{Kind: release.SourceFolder, Into: "srv", Files: map[string][]byte{"a": []byte("two")}},
	}, nil)
	if err == nil || !strings.Contains(err.Error(), "srv/a: two packages have different things there") {
		t.Errorf("two things in one place: %v", err)
	}
}
