package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/protocol"
)

// Computers that build nothing run what another one built. One that is ordered
// to have a release waits until somebody has built it; the next one takes it
// from both, and all know who built it.
func TestBuiltReleaseIsTakenFromPeers(t *testing.T) {
	t.Parallel()
	downloaded(t, "memcached")
	w := newWorld(t, newNetwork(t))
	a := w.start("a", "init").up()
	b := w.start("b", "join", a.status.Listen, "--token", a.token(protocol.TokenInput{}), "--no-build").up()
	c := w.start("c", "join", a.status.Listen, "--token", a.token(protocol.TokenInput{}), "--no-build").up()
	a.sees(3)

	if _, err := a.Supply(t.Context(), protocol.SupplyInput{Release: "memcached", Computer: "b"}); err != nil {
		t.Fatal(err)
	}
	a.supplied("b", func(s protocol.Supply) bool {
		return s.Progress == "asking who has built it (waiting for a computer of the same architecture to build it: this one builds nothing)"
	})
	if _, err := a.Supply(t.Context(), protocol.SupplyInput{Release: "memcached", Computer: "a"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		a.supplied(name, func(s protocol.Supply) bool { return s.State == "available" })
	}
	i := c.request(protocol.RequestInput{Reference: "cache", Release: "memcached", Filter: map[string]string{"computer": "c"}})
	if answer, err := w.net.talk(hostOf(t, i), "D", "set greeting 0 0 5", "hello"); err != nil || answer != "STORED" {
		t.Errorf("memcached says %q (%v)", answer, err)
	}
	trees := map[string]bool{}
	for _, p := range []*peer{a, b, c} {
		r := p.built()
		trees[r.Tree] = true
		if r.Builder != a.status.PeerID || r.Tree == "" {
			t.Errorf("%s says that %s built tree %.12s, want %s", p.name, r.Builder, r.Tree, a.status.PeerID)
		}
	}
	if len(trees) != 1 {
		t.Errorf("trees %v", trees)
	}
	for _, p := range []*peer{c, a} { // one that cannot build, and one that did
		p.repairs()
	}
	if answer, err := w.net.talk(hostOf(t, i), "D", "get greeting"); err != nil || answer != "VALUE greeting 0 5\nhello\nEND" {
		t.Errorf("after the repair, memcached says %q (%v)", answer, err)
	}
	c.set("cache", protocol.RequestDestroyed)
}

// repairs holds that a peer finds what came to harm in the tree of its release,
// and takes it from others while an instance runs from it.
func (p *peer) repairs() {
	p.w.Helper()
	program := filepath.Join(p.dir, "store", "tree", p.built().Tree, "root", "usr", "bin", "memcached")
	data, err := os.ReadFile(program)
	if err != nil {
		p.w.Fatal(err)
	}
	spoilt := slices.Clone(data)
	spoilt[len(spoilt)/2] ^= 4
	// Another file in its place: the kernel lets nobody write into a program that runs.
	if err := errors.Join(os.Remove(program), os.WriteFile(program, spoilt, 0o555)); err != nil {
		p.w.Fatal(err)
	}
	for _, step := range []struct {
		repair bool
		state  protocol.TreeState
	}{{false, protocol.TreeDamaged}, {true, protocol.TreeRepaired}, {false, protocol.TreeSound}} {
		checked, err := p.VerifyReleases(p.w.Context(), protocol.VerifyReleasesInput{Repair: step.repair})
		if err != nil || len(checked) != 1 || checked[0].State != step.state || (len(checked[0].Damage) > 0) != (step.state != protocol.TreeSound) {
			p.w.Fatalf("%s finds %+v (%v), want it %s", p.name, checked, err, step.state)
		}
	}
	if got, err := os.ReadFile(program); err != nil || !slices.Equal(got, data) {
		p.w.Errorf("%s did not repair it (%v)", p.name, err)
	}
}

// A builtRecord is what a store says of a tree.
type builtRecord struct {
	Tree    string `json:"tree"`
	Builder string `json:"builder"`
}

// built returns the record of the one release that a peer has.
func (p *peer) built() (r builtRecord) {
	p.w.Helper()
	names, err := filepath.Glob(filepath.Join(p.dir, "store", "record", "build-*"))
	if err != nil || len(names) != 1 {
		p.w.Fatalf("records of %s: %v (%v)", p.name, names, err)
	}
	data, err := os.ReadFile(names[0])
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		p.w.Fatal(err)
	}
	return r
}

// supplied waits until the one supply of a computer is as it should be.
func (p *peer) supplied(computer string, ok func(protocol.Supply) bool) {
	p.w.Helper()
	p.w.until("the release on "+computer, func() error {
		supplies, err := p.Supplies(p.w.Context())
		for _, s := range supplies {
			if s.ComputerName != computer || err != nil {
				continue
			}
			if ok(s) {
				return nil
			}
			err = fmt.Errorf("%s: %s %s", s.State, s.Progress, s.Reason)
		}
		if err == nil {
			err = fmt.Errorf("nothing is ordered: %v", supplies)
		}
		return err
	})
}

// BenchmarkFetchedOrRebuilt has one computer build a release of about 500 MB of
// the archive's packages, lists and downloads included, and another one take it
// from there.
func BenchmarkFetchedOrRebuilt(b *testing.B) {
	w := newWorld(b, here) // where the archive can be reached
	w.cache = filepath.Join(w.dir, "cache")
	if err := os.Mkdir(w.cache, 0o755); err != nil {
		b.Fatal(err)
	}
	profile := filepath.Join(w.dir, "profile")
	text := "release(name = \"big\", version = \"1\", sources = [debian(\"golang-1.19-go\")])\n\ndef instance(i):\n    pass\n"
	if err := errors.Join(os.Mkdir(profile, 0o755), os.WriteFile(filepath.Join(profile, "release.star"), []byte(text), 0o644)); err != nil {
		b.Fatal(err)
	}
	bundle, err := release.LoadDir(os.DirFS(profile))
	if err != nil {
		b.Fatal(err)
	}
	one := w.start("a", "init").up()
	two := w.start("b", "join", one.status.Listen, "--token", one.token(protocol.TokenInput{}), "--no-build").up()
	one.sees(2)
	published, err := one.Publish(b.Context(), protocol.PublishInput{Profile: bundle.Encode()})
	if err != nil {
		b.Fatal(err)
	}
	took := map[string]time.Duration{}
	for range b.N {
		for _, p := range []*peer{one, two} {
			begun := time.Now()
			if _, err := one.Supply(b.Context(), protocol.SupplyInput{Release: published.Digest, Computer: p.name}); err != nil {
				b.Fatal(err)
			}
			ready := func(s protocol.Supply) bool { return s.ComputerName == p.name && s.State == "available" }
			for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
				supplies, err := one.Supplies(b.Context())
				if err != nil || time.Since(begun) > 30*time.Minute {
					b.Fatalf("not built: %v (%v)", supplies, err)
				}
				if slices.ContainsFunc(supplies, ready) {
					tick.Stop()
					break
				}
			}
			took[p.name] = time.Since(begun)
		}
	}
	bytes := int64(0)
	err = filepath.WalkDir(filepath.Join(two.dir, "store", "tree"), func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(bytes)/1e6, "MB")
	b.ReportMetric(took["a"].Seconds(), "built-s")
	b.ReportMetric(took["b"].Seconds(), "fetched-s")
	b.ReportMetric(took["a"].Seconds()/took["b"].Seconds(), "ratio")
}
