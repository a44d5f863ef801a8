//go:build linux

package limits

import (
	"os"
	"path/filepath"
	"testing"
)

// The groups of a state folder that is gone go at the next start; those of
// others, and those in which something runs, stay.
func TestSweep(t *testing.T) {
	for _, version := range []int{1, 2} {
		tree := realTree(t, version, "freezer")
		state := t.TempDir()
		folder := func(name string) string {
			dir := filepath.Join(state, name)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			return dir
		}
		gone, kept := folder("gone"), folder("kept")
		groups := map[string]*Group{}
		for name, dir := range map[string]string{"gone": gone, "kept": kept} {
			g := tree.Group(filepath.Join(dir, "p0"))
			groups[name] = g
			if err := g.Make(Limits{Processes: 10}); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = g.Remove() })
		}
		tree.sweep()
		if !groups["gone"].Exists() || !groups["kept"].Exists() {
			t.Fatalf("version %d: a group went while its folder was there", version)
		}
		if err := os.RemoveAll(gone); err != nil {
			t.Fatal(err)
		}
		tree.sweep()
		for _, dir := range groups["gone"].Folders() {
			if _, err := os.Stat(filepath.Dir(dir)); err == nil {
				t.Errorf("version %d: %s is still there", version, filepath.Dir(dir))
			}
		}
		if !groups["kept"].Exists() {
			t.Errorf("version %d: the group of another folder is gone", version)
		}
	}
}
