package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/remote"
)

// records returns the rows of a slice in one byte form.
func records(tb testing.TB, s *ledger.State, v ledger.Viewer) []string {
	tb.Helper()
	var all []string
	for r := range s.Slice(v) {
		data, err := ledger.Marshal(r)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, string(data))
	}
	return all
}

// checkSlice fails the test if the follower of a peer does not show exactly
// what the ledger has for that peer.
func checkSlice(tb testing.TB, m *mesh, self ledger.PeerID, f *remote.Follower) {
	tb.Helper()
	full := m.replicas["v1"].View()
	v, err := full.Viewer(self)
	if err != nil {
		tb.Fatal(err)
	}
	want, got := records(tb, full, v), records(tb, f.View(), v)
	if fmt.Sprint(want) != fmt.Sprint(got) {
		tb.Errorf("slice of %s has %d rows, want %d", self, len(got), len(want))
	}
	if f.View().Index() != full.Index() {
		tb.Errorf("slice of %s at %d, want %d", self, f.View().Index(), full.Index())
	}
}

// follow runs a follower until the test ends it.
func (m *mesh) follow(self ledger.PeerID, dir string) (f *remote.Follower, stop func()) {
	m.tb.Helper()
	transport := m.as(self)
	f, err := remote.OpenFollower(remote.FollowConfig{
		Self: self, HTTP: stamped{self, m, transport}, Voters: m.voters, Dir: dir,
	})
	if err != nil {
		m.tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f.Run(ctx); err != nil {
			m.tb.Error(err)
		}
	}()
	return f, func() {
		cancel()
		<-done
		transport.CloseIdleConnections()
	}
}

// busy makes a little of everything happen.
func (m *mesh) busy(round int) {
	profile := fmt.Appendf(nil, "profile %d", round)
	d := ledger.DigestOf(profile)
	name := fmt.Sprint("web", round)
	m.must(ledger.AsPeer("c1"), ledger.Offer{Partitions: 10 + round})
	m.must(ledger.AsPeer("c2"), ledger.Offer{Partitions: 10 + round})
	m.must(ledger.AsPeer("c1"), ledger.Publish{Digest: d, Profile: profile, Name: name})
	for _, who := range []ledger.PeerID{"c1", "c2", "v1"} {
		ref := ledger.Reference(fmt.Sprint(who, round))
		m.must(ledger.AsPeer(who), ledger.Request{Reference: ref, Release: d, Filter: map[string]string{"computer": "c1"}})
		if round%2 == 0 {
			m.must(ledger.AsPeer(who), ledger.SetState{Reference: ref, State: ledger.InstanceDestroyed})
		}
	}
	var report ledger.Report
	for i := range m.replicas["v1"].View().InstancesOn("c1") {
		if i.Requested == ledger.InstanceDestroyed {
			report.Instances = append(report.Instances, ledger.InstanceReport{ID: i.ID, Generation: i.Generation, State: ledger.InstanceDestroyed})
		}
	}
	m.must(ledger.AsPeer("c1"), report)
}

func TestFollowersHaveTheirSlices(t *testing.T) {
	inMesh(t, three, func(m *mesh) {
		t := m.t
		m.admit("c1", ledger.RoleComputer, "bob", "b1")
		m.admit("c2", ledger.RoleComputer, "cem", "b2")
		m.admit("c3", ledger.RoleVoter, "ann", "b3") // an operator that follows
		m.busy(0)
		followers := make(map[ledger.PeerID]*remote.Follower)
		for _, id := range []ledger.PeerID{"c1", "c2", "c3"} {
			f, stop := m.follow(id, "")
			defer stop()
			followers[id] = f
		}
		for round := 1; round < 6; round++ {
			m.busy(round)
			time.Sleep(150 * time.Millisecond) // more than the lag
			synctest.Wait()
			for id, f := range followers {
				checkSlice(t, m, id, f)
			}
		}
		if _, ok := followers["c2"].View().InstanceByReference("bob", "c11"); ok {
			t.Error("c2 sees what is bob's")
		}
		if i, ok := followers["c1"].View().InstanceByReference("ann", "v11"); !ok || i.Computer != "c1" {
			t.Error("c1 does not see what it runs for ann")
		}
		d := ledger.DigestOf([]byte("profile 1"))
		if _, ok := followers["c2"].View().Profile(d); ok {
			t.Error("c2 has a profile that it is not to run")
		}
		if data, err := followers["c2"].Profile(t.Context(), d); err != nil || string(data) != "profile 1" {
			t.Errorf("profile = %q, %v", data, err)
		}
		if _, err := followers["c2"].Profile(t.Context(), ledger.DigestOf(nil)); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("err = %v", err)
		}
	})
}

func TestOwnChangesComeAtOnce(t *testing.T) {
	inMesh(t, three, func(m *mesh) {
		t := m.t
		m.admit("c1", ledger.RoleComputer, "bob", "b1")
		m.admit("c2", ledger.RoleComputer, "cem", "b2")
		m.busy(0)
		f, stop := m.follow("c1", "")
		defer stop()
		time.Sleep(time.Second)

		began := time.Now()
		m.busy(1)
		if err := f.WaitIndex(t.Context(), m.index); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 10*time.Millisecond {
			t.Errorf("took %v", took)
		}

		began = time.Now()
		m.must(ledger.AsPeer("c2"), ledger.Offer{Partitions: 77})
		if err := f.WaitIndex(t.Context(), m.index); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

func TestFollowerOutlivesVoters(t *testing.T) {
	inMesh(t, three, func(m *mesh) {
		t := m.t
		m.admit("c1", ledger.RoleComputer, "bob", "b1")
		m.admit("c2", ledger.RoleComputer, "cem", "b2")
		m.busy(0)
		f, stop := m.follow("c1", "")
		defer stop()
		time.Sleep(time.Second)
		for round := 1; round < 5; round++ {
			source, err := f.Source()
			if err != nil {
				t.Fatal(err)
			}
			m.kill(source)
			m.busy(round)
			time.Sleep(5 * time.Second)
			checkSlice(t, m, "c1", f)
			if now, err := f.Source(); now == source || err != nil {
				t.Errorf("follows %s, which is dead: %v", now, err)
			}
			m.serve(source)
		}
	})
}

func TestFollowerThatIsSomeoneElseGetsEverythingAgain(t *testing.T) {
	inMesh(t, three, func(m *mesh) {
		t := m.t
		m.admit("c1", ledger.RoleVoter, "ann", "b1")
		m.admit("c2", ledger.RoleComputer, "cem", "b2")
		m.busy(0)
		f, stop := m.follow("c1", "")
		defer stop()
		for _, role := range []ledger.Role{ledger.RoleComputer, ledger.RoleVoter} {
			time.Sleep(time.Second)
			m.must(ledger.System(), ledger.SetRole{Peer: "c1", Role: role})
			time.Sleep(time.Second)
			checkSlice(t, m, "c1", f)
		}
		m.must(ledger.System(), ledger.RemovePeer{Peer: "c1"})
		time.Sleep(time.Second)
		if _, err := f.Source(); err == nil {
			t.Error("a peer that was removed still follows")
		}
	})
}

func TestSliceIsKept(t *testing.T) {
	dir := t.TempDir()
	var kept []byte
	inMesh(t, three, func(m *mesh) {
		t := m.t
		m.admit("c1", ledger.RoleComputer, "bob", "b1")
		m.admit("c2", ledger.RoleComputer, "cem", "b2")
		m.busy(0)
		f, stop := m.follow("c1", dir)
		time.Sleep(time.Second)
		m.busy(1)
		time.Sleep(time.Second)
		stop()
		checkSlice(t, m, "c1", f)

		for _, id := range three {
			m.kill(id)
		}
		f, stop = m.follow("c1", dir)
		time.Sleep(time.Second)
		checkSlice(t, m, "c1", f) // from the disk
		if _, err := f.Source(); err == nil {
			t.Error("nobody can be followed, and Source does not say so")
		}
		for _, id := range three {
			m.serve(id)
		}
		m.busy(2)
		time.Sleep(5 * time.Second)
		checkSlice(t, m, "c1", f) // from there on
		stop()
		kept, _ = os.ReadFile(filepath.Join(dir, "slice"))
	})

	for name, data := range map[string][]byte{
		"empty":     nil,
		"truncated": kept[:len(kept)/2],
		"flipped":   append(bytes.Clone(kept[:100]), append([]byte{kept[100] ^ 1}, kept[101:]...)...),
	} {
		if err := os.WriteFile(filepath.Join(dir, "slice"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := remote.OpenFollower(remote.FollowConfig{Self: "c1", HTTP: stamped{}, Voters: func() []ledger.PeerID { return nil }, Dir: dir})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if f.View().Index() != 0 {
			t.Errorf("%s: a damaged slice is used", name)
		}
	}
}
