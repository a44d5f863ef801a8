package ledger

import (
	"errors"
	"testing"
	"time"
)

// TestRules: what an older voter could not read is not proposed before all
// know it; a mesh that is raised begins to bill what runs.
func TestRules(t *testing.T) {
	w := given(t, "system found home ann p1\np1 offer 2\np1 publish web 1\n")
	mesh, _ := w.Mesh()
	mesh.Rules = 1
	w.setMesh(mesh)
	w.mustAsk(AsPeer("p1"), Request{Reference: "a", Release: DigestOf(profileOf("web", "1"))})
	if _, billed := w.Charge(1); billed {
		t.Error("a mesh that knows no money bills")
	}
	for _, test := range []struct {
		command Command
		old     bool // may be proposed under the first rules
	}{
		{Request{Reference: "b"}, true},
		{Request{Reference: "b", Where: "cores > 1"}, false},
		{Offer{Partitions: 3}, true},
		{Offer{Partitions: 3, Cores: 1000}, false},
		{Offer{Partitions: 3, Bandwidth: 1}, false},
		{Request{Reference: "b", Needs: Needs{Bandwidth: 1}}, false},
		{SetQuota{Quota: Quota{Bandwidth: new(int64)}}, false},
		{ReviewBill{From: noon}, false},
		{Pay{}, false},
		{ReportUsage{}, false},
		{SetState{}, true},
		{Request{Reference: "b", Parent: 1}, false},
		{Rename{}, false},
		{Bang{}, false},
		{Move{}, false},
		{EndKept{}, false},
		{SetAdmission{}, false},
		{Apply{}, false},
		{Approve{}, false},
		{RefuseApplicant{}, false},
		{RotateCA{}, false},
		{SetState{Keep: new(time.Duration)}, false},
		{Request{Reference: "b", Scope: ScopePublic}, false},
		{Request{Reference: "b", Keep: new(time.Duration)}, false},
	} {
		if err := w.Proposable(test.command); (err == nil) != test.old || err != nil && !errors.Is(err, ErrUnavailable) {
			t.Errorf("%#v: %v", test.command, err)
		}
	}
	if _, err := w.ask(AsPeer("p1"), Pay{ID: "x", From: MintAccount, To: "ann", Sum: 1}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("paid under rules that know no money: %v", err)
	}

	w.mustAsk(System(), RaiseRules{CurrentRules, testSecret})
	if c, billed := w.Charge(1); !billed || !c.Open() || c.Payer != "ann" {
		t.Errorf("after the rules were raised: %+v, %v", c, billed)
	}
	if err := w.Proposable(Pay{}); err != nil {
		t.Error(err)
	}
	if err := w.check(); err != nil {
		t.Error(err)
	}
}

// TestNewerThanRules: what a command of newer rules asks is not decided under
// older ones, whoever proposed it.
func TestNewerThanRules(t *testing.T) {
	w := given(t, "system found home ann p1\n")
	mesh, _ := w.Mesh()
	mesh.Rules = RulesOfProjects
	w.setMesh(mesh)
	before := w.Hash()
	if _, err := w.Decide(fromTomorrow{}, Context{w.at, AsPeer("p1")}); CodeOf(err) != ErrUnavailable || w.Hash() != before {
		t.Errorf("decided: %v", err)
	}
}

// fromTomorrow is a command that the mesh does not know yet.
type fromTomorrow struct{ Rename }

func (fromTomorrow) rules() uint64 { return CurrentRules + 1 }

// TestOpenScopes: what nobody said of a computer stays when group begins to
// mean the projects of its owner.
func TestOpenScopes(t *testing.T) {
	w := given(t, "system found home ann p1\np1 token t1 computer bob 3\np1 admit p2 t1\np1 admit p3 t1\np1 admit p4 t1\n")
	mesh, _ := w.Mesh()
	mesh.Rules = RulesOfProjects
	w.setMesh(mesh)
	for _, id := range []PeerID{"p1", "p2", "p3", "p4"} {
		w.mustAsk(AsPeer(id), Offer{Partitions: 1})
	}
	w.mustAsk(AsPeer("p1"), SetComputer{Computer: "p2", Labels: map[string]string{"country": "FR"}})
	w.mustAsk(AsPeer("p1"), SetComputer{Computer: "p3", Scope: ScopeGroup})
	w.mustAsk(AsPeer("p4"), Offer{Partitions: 1, Scope: ScopePersonal})
	if _, err := w.ask(AsPeer("p1"), SetComputer{Computer: "p1", Scope: ScopeOpen}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a scope of newer rules: %v", err)
	}
	w.mustAsk(System(), RaiseRules{CurrentRules, testSecret})
	for id, want := range map[ComputerID]Scope{"p1": ScopeOpen, "p2": ScopeOpen, "p3": ScopeGroup, "p4": ScopePersonal} {
		c, _ := w.Computer(id)
		if c.Scope != want {
			t.Errorf("%s is %s, want %s", id, c.Scope, want)
		}
	}
	w.mustAsk(AsPeer("p1"), SetComputer{Computer: "p3", Reset: true})
	if c, _ := w.Computer("p3"); c.Scope != ScopeOpen {
		t.Errorf("p3 says itself that it is %s", c.Scope)
	}
	if err := w.check(); err != nil {
		t.Error(err)
	}
}

// TestRulesOfProjects: none of it is proposed to voters that do not know it,
// nor decided there.
func TestRulesOfProjects(t *testing.T) {
	w := given(t, home)
	mesh, _ := w.Mesh()
	mesh.Rules = RulesOfMoney
	w.setMesh(mesh)
	for _, c := range []Command{
		CreateProject{Name: "acme"},
		SetMember{"acme", "ann", RoleOwner},
		RemoveMember{Project: "acme"},
		DeleteProject{"acme"},
		SetQuota{Account: "ann"},
		CreateUser{"bob"},
		DisableAccount{"ann", true},
		SetOperator{"ann", false},
	} {
		if err := w.Proposable(c); CodeOf(err) != ErrUnavailable {
			t.Errorf("%s may be proposed: %v", c.Kind(), err)
		}
		if _, err := w.ask(AsPeer("p1"), c); CodeOf(err) != ErrUnavailable {
			t.Errorf("%s was decided: %v", c.Kind(), err)
		}
	}
	if w.Proposable(CreateToken{Scopes: []string{"read"}}) == nil || w.Proposable(CreateToken{Project: "acme"}) == nil || w.Proposable(Publish{Account: "acme"}) == nil {
		t.Error("new fields may be proposed")
	}
	if err := w.Proposable(CreateToken{}); err != nil {
		t.Error(err)
	}
}
