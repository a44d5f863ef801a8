package build_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	registryname "github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/slapmesh/slapmesh/partition/build/buildtest"
	"github.com/slapmesh/slapmesh/partition/release"
)

// serve builds a profile, runs it, and returns the runner and what it is.
func serve(t *testing.T, bundle *release.Bundle, address string) (*runner, release.Desired) {
	t.Helper()
	b := buildtest.Open(t)
	profile, err := release.Load(bundle)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	tree, err := b.Build(t.Context(), profile.Sources, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("built in %v", time.Since(begun).Round(time.Millisecond))
	r := newRunner(t, tree, address)
	d := r.desired(profile, nil)
	r.start(d)
	return r, d
}

func example(t *testing.T, name string) *release.Bundle {
	t.Helper()
	bundle, err := release.LoadDir(os.DirFS(filepath.Join("../../examples", name)))
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

// TestNotes runs a Go service with a SQLite database, whose notes stay over a
// stop.
func TestNotes(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("skipped, for go is not on this computer")
	}
	r, d := serve(t, example(t, "notes"), "127.64.200.20")
	at := d.Published["url"]
	post, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(post, http.MethodPost, at, strings.NewReader("remember the milk"))
	r.must(err)
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	r.must(err)
	r.must(resp.Body.Close())
	r.stop(d)
	r.start(d)
	got, err := get(t.Context(), at)
	r.must(want(got, "remember the milk\n", err))
	r.stop(d)
}

// TestHelloNode runs a Node.js service with packages of npm.
func TestHelloNode(t *testing.T) {
	r, d := serve(t, example(t, "hello-node"), "127.64.200.21")
	got, err := get(t.Context(), d.Published["url"]+"you")
	r.must(want(got, "hello you\n", err))
	r.stop(d)
}

// TestImageServes runs what is in an OCI image of a registry on this computer:
// a busybox that serves a page, both from its layers.
func TestImageServes(t *testing.T) {
	b := buildtest.Open(t)
	tree, err := b.Build(t.Context(), []release.Source{{Kind: release.SourceDebian, Packages: []string{"busybox-static"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(filepath.Join(tree.Path, "usr/bin/busybox"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	image := empty.Image
	for _, content := range [][]byte{
		tarOf(item{name: "bin/busybox", content: string(program)}, item{name: "srv/index.html", content: "old"}),
		tarOf(item{name: "bin/sh", kind: tar.TypeSymlink, link: "busybox"}, item{name: "srv/index.html", content: "from an image"}),
	} {
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
		if err == nil {
			image, err = mutate.AppendLayers(image, layer)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ref, err := registryname.ParseReference(strings.TrimPrefix(server.URL, "http://") + "/team/page:latest")
	if err == nil {
		err = remote.Write(ref, image)
	}
	digest, derr := image.Digest()
	if err := errors.Join(err, derr); err != nil {
		t.Fatal(err)
	}
	profile := `release(name = "page", version = "1", sources = [oci("` + ref.Context().Name() + `@` + digest.String() + `")])

def instance(i):
    i.service("httpd", ["busybox", "httpd", "-f", "-p", i.ip + ":8080", "-h", "/srv"], ports = {"http": 8080})
    i.publish(url = "http://%s/" % i.address("http"))
`
	bundle, err := release.NewBundle(map[string][]byte{release.Main: []byte(profile)})
	if err != nil {
		t.Fatal(err)
	}
	r, d := serve(t, bundle, "127.64.200.22")
	got, err := get(t.Context(), d.Published["url"])
	r.must(want(got, "from an image", err))
	r.stop(d)
}
