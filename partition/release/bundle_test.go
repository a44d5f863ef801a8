package release_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/slapmesh/slapmesh/partition/release"
)

func TestBundle(t *testing.T) {
	folder := fstest.MapFS{
		"release.star": {Data: []byte("release()")}, "sub/a.conf": {Data: []byte("a")},
		".git/config": {Data: []byte("secret")}, ".hidden": {Data: []byte("x")},
	}
	b, err := release.LoadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(b.Names()); got != "[release.star sub/a.conf]" {
		t.Errorf("packed %s", got)
	}
	again, err := release.DecodeBundle(b.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest() != b.Digest() || !strings.HasPrefix(b.Digest(), "sha256:") || len(b.Digest()) != 71 {
		t.Errorf("digests %s and %s", b.Digest(), again.Digest())
	}
	folder["sub/a.conf"].Data = []byte("b")
	if changed, err := release.LoadDir(folder); err != nil || changed.Digest() == b.Digest() {
		t.Errorf("a changed file leaves the digest: %v", err)
	}
}

func TestBundleRefuses(t *testing.T) {
	star := []byte("x")
	tests := []struct {
		name  string
		files map[string][]byte
		want  string
	}{
		{"no profile", map[string][]byte{"a": nil}, "no file release.star"},
		{"parent", map[string][]byte{"release.star": star, "../a": nil}, "a path is relative"},
		{"absolute", map[string][]byte{"release.star": star, "/a": nil}, "a path is relative"},
		{"newline", map[string][]byte{"release.star": star, "a\nb": nil}, "no control characters"},
		{"backslash", map[string][]byte{"release.star": star, `a\b`: nil}, "no backslash"},
		{"too large", map[string][]byte{"release.star": make([]byte, release.MaxBundle)}, "are more than the 1048576"},
	}
	for _, test := range tests {
		if _, err := release.NewBundle(test.files); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
	large := fstest.MapFS{"release.star": {Data: star}, "big": {Data: make([]byte, release.MaxBundle+1)}}
	if _, err := release.LoadDir(large); err == nil || !strings.Contains(err.Error(), "big") {
		t.Errorf("a large folder: %v", err)
	}
}

func FuzzDecodeBundle(f *testing.F) {
	b, err := release.NewBundle(map[string][]byte{"release.star": []byte("x"), "a": nil})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b.Encode())
	f.Add(b.Encode()[:5])
	f.Add([]byte{0xbf, 0xff})
	f.Add([]byte{0xa2, 0x61, 'a', 0x40, 0x61, 'a', 0x40})
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := release.DecodeBundle(data)
		if err == nil && !bytes.Equal(b.Encode(), data) {
			t.Error("another encoding of the same bundle was accepted")
		}
	})
}

// FuzzLoad holds that no profile makes Load or Evaluate panic or run on.
func FuzzLoad(f *testing.F) {
	f.Add(head + "    i.publish(url = i.params.p)\n")
	f.Add(head + "    i.service('a', ['a'], ports = {'b': 1}, ready = 'b', after = [], env = {'A': 1})\n")
	f.Add(head + "    i.once('a', ['b'] * 300)\n")
	f.Add("x = [[]]\nx[0].append(x)\nrelease(parameters = {1: x}, types = x, sources = x)")
	f.Add("def f(): pass\nrelease(name = f)")
	f.Add("string('a', default = {1: 2})\narray('a', items = 1)")
	f.Fuzz(func(t *testing.T, profile string) {
		if len(profile) > 1000 || strings.Contains(profile, "*") || strings.Contains(profile, "range") {
			t.Skip() // memory is not bounded: DESIGN.md of package build
		}
		_ = evaluate(t, profile)
	})
}
