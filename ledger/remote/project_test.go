package remote_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// TestFollowersSeeTheirProjects: who becomes a member is sent what the project
// has, who is one no longer has it no longer, and what happens in the project
// comes at once.
func TestFollowersSeeTheirProjects(t *testing.T) {
	inMesh(t, three, func(m *mesh) {
		t := m.t
		m.admit("c1", ledger.RoleComputer, "bob", "b1")
		m.project()
		dir := t.TempDir()
		f, stop := m.follow("c1", dir)
		time.Sleep(time.Second)
		for _, step := range []struct {
			given ledger.Command
			sees  bool
		}{
			{ledger.SetMember{Project: "acme", Account: "bob", Role: ledger.RoleViewer}, true},
			{ledger.SetMember{Project: "acme", Account: "bob", Role: ledger.RoleDeveloper}, true},
			{ledger.SetState{Account: "acme", Reference: "web", State: ledger.InstanceStopped}, true},
			{ledger.RemoveMember{Project: "acme", Account: "bob"}, false},
			{ledger.SetState{Account: "acme", Reference: "web", State: ledger.InstanceStarted}, false},
			{ledger.SetMember{Project: "acme", Account: "bob", Role: ledger.RoleOwner}, true},
		} {
			m.must(ledger.System(), step.given)
			time.Sleep(20 * time.Millisecond) // less than the lag
			synctest.Wait()
			i, sees := f.View().InstanceByReference("acme", "web")
			want, _ := m.replicas["v1"].View().InstanceByReference("acme", "web")
			if sees != step.sees || sees && i.Requested != want.Requested {
				t.Errorf("%+v: sees %v %s, want %v %s", step.given, sees, i.Requested, step.sees, want.Requested)
			}
			time.Sleep(150 * time.Millisecond)
			synctest.Wait()
			checkSlice(t, m, "c1", f)
		}
		stop()
		m.must(ledger.System(), ledger.SetState{Account: "acme", Reference: "web", State: ledger.InstanceStopped})
		f, stop = m.follow("c1", dir) // goes on where it was
		defer stop()
		if _, sees := f.View().InstanceByReference("acme", "web"); !sees {
			t.Error("what was kept does not have the project")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		checkSlice(t, m, "c1", f)
	})
}

// project makes a project with an instance on a voter.
func (m *mesh) project() {
	profile := []byte("profile")
	m.must(ledger.AsPeer("v1"), ledger.Offer{Partitions: 10})
	m.must(ledger.AsPeer("v1"), ledger.Publish{Digest: ledger.DigestOf(profile), Profile: profile, Name: "web"})
	m.must(ledger.AsPeer("v1"), ledger.CreateProject{Name: "acme"})
	m.must(ledger.AsPeer("v1"), ledger.Request{Account: "acme", Reference: "web", Release: ledger.DigestOf(profile)})
}
