package release_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/partition/release"
)

func TestStarter(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "greeter")
	names, err := release.Starter(folder)
	if err != nil || len(names) != 2 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, path := range []string{folder, filepath.Join(folder, "release.star")} {
		_, r, err := release.LoadPath(path)
		if err != nil {
			t.Fatal(err)
		}
		d, err := r.Evaluate(release.Input{Reference: "first", Address: netip.MustParseAddr("127.64.0.1")})
		if err != nil || r.Name != "greeter" || d.Published["url"] != "http://127.64.0.1:8080/" || len(d.Services) != 1 {
			t.Errorf("%s: %+v, %v", r.Name, d, err)
		}
	}
	if _, err := release.Starter(folder); err == nil || !strings.Contains(err.Error(), "is not empty: there is index.html") {
		t.Errorf("over what is there: %v", err)
	}
	for _, name := range []string{"Greeter", "9", "a b", strings.Repeat("a", 64)} {
		if _, err := release.Starter(filepath.Join(t.TempDir(), name)); err == nil || !strings.Contains(err.Error(), "is no name") {
			t.Errorf("called %q: %v", name, err)
		}
	}
	other := filepath.Join(t.TempDir(), "other.star")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := release.LoadPath(other); err == nil || !strings.Contains(err.Error(), "is called release.star") {
		t.Errorf("another name: %v", err)
	}
}
