package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/tunnel"
	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/protocol"
)

// TestProjects is about who reads what: each caller asks for everything that a
// project has, on the peer that runs it and on the other one.
func TestProjects(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a, b := w.twoPeers()
		w.project(a)
		acme := protocol.Ref{Reference: "db", Account: "acme"}
		for name, tc := range map[string]struct {
			in                   protocol.TokenInput
			sees, secrets, owner bool
		}{
			"stranger":                         {protocol.TokenInput{Account: "zoe"}, false, false, false},
			"viewer":                           {protocol.TokenInput{Account: "vera"}, true, false, false},
			"developer":                        {protocol.TokenInput{Account: "dave"}, true, true, false},
			"developer, to read":               {protocol.TokenInput{Account: "dave", Scopes: []string{"read"}}, true, false, false},
			"developer, for the project":       {protocol.TokenInput{Account: "dave", Project: "acme"}, true, true, false},
			"developer, for its own instances": {protocol.TokenInput{Account: "dave", Scopes: []string{"instances"}}, true, true, false},
			"owner":                            {protocol.TokenInput{Account: "olga"}, true, true, true},
			"owner, for money":                 {protocol.TokenInput{Account: "olga", Scopes: []string{"money"}}, true, false, false},
			"token of the project":             {protocol.TokenInput{Account: "acme"}, true, true, true},
		} {
			tc.in.Role = protocol.RoleUser
			token := a.token(tc.in)
			for _, peer := range []*testPeer{a, b} {
				c := peer.bearer(token)
				w.eventually(5*time.Second, "the token is known", func() bool {
					_, err := c.Prices(t.Context())
					return err == nil
				})
				w.reads(name+" through "+peer.name, c, acme, tc.sees, tc.secrets, tc.owner)
			}
		}
	})
}

// project makes a project with an instance, a member of each role, and a user
// who has nothing to do with it.
func (w *world) project(a *testPeer) {
	w.t.Helper()
	ctx, ask := w.t.Context(), a.ask()
	must := func(_ any, err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	for _, user := range []string{"olga", "dave", "vera", "zoe"} {
		must(ask.AddUser(ctx, protocol.UserInput{Account: user}))
	}
	must(ask.CreateProject(ctx, protocol.ProjectInput{Project: "acme", Owner: "olga"}))
	must(ask.SetProjectMember(ctx, "acme", "dave", protocol.ProjectMemberInput{Role: protocol.ProjectDeveloper}))
	must(ask.SetProjectMember(ctx, "acme", "vera", protocol.ProjectMemberInput{Role: protocol.ProjectViewer}))
	must(ask.Request(ctx, protocol.RequestInput{Reference: "db", Account: "acme", Release: "memcached", Filter: map[string]string{"computer": a.name}}))
	w.eventually(time.Minute, "it is started", func() bool {
		i, err := ask.Instance(ctx, protocol.Ref{Reference: "db", Account: "acme"})
		return err == nil && i.State == protocol.StateStarted && i.Connection["url"] != ""
	})
}

// reads fails if a caller is shown more, or less, than it may see.
func (w *world) reads(who string, c protocol.Service, ref protocol.Ref, sees, secrets, owner bool) {
	w.t.Helper()
	ctx := w.t.Context()
	bundle, err := release.NewBundle(map[string][]byte{"release.star": []byte("release(name = \"own\", version = \"1\", sources = [debian(\"memcached\")])\n\ndef instance(i):\n  pass\n")})
	if err != nil {
		w.t.Fatal(err)
	}
	profile := bundle.Encode()
	check := func(what string, may bool, err error) {
		w.t.Helper()
		if may != (err == nil) || !may && !errors.Is(err, protocol.ErrForbidden) && !errors.Is(err, protocol.ErrNotFound) {
			w.t.Errorf("%s, %s: may %v, got %v", who, what, may, err)
		}
	}
	hidden := func(what string, i protocol.Instance) {
		w.t.Helper()
		if (len(i.Connection) > 0) != secrets {
			w.t.Errorf("%s, %s: connection %v", who, what, i.Connection)
		}
	}
	i, err := c.Instance(ctx, ref)
	if check("show", sees, err); err == nil {
		hidden("show", i)
	}
	all, err := c.Instances(ctx, protocol.InstanceQuery{Account: ref.Account})
	if check("list", sees, err); err == nil {
		hidden("list", all[0])
	}
	watch, stop := context.WithCancel(ctx)
	for i, err := range c.Watch(watch, protocol.InstanceQuery{Account: ref.Account, Reference: ref.Reference}) {
		if check("watch", sees, err); err == nil {
			hidden("watch", i)
		}
		break
	}
	stop()
	_, err = c.Instances(ctx, protocol.InstanceQuery{All: true})
	check("list all", false, err)
	_, err = c.Statement(ctx, ref.Account)
	check("statement", sees, err)
	_, err = c.Statement(ctx, "operator")
	check("statement of another", false, err)
	logs, err := c.Logs(ctx, ref, protocol.LogQuery{})
	if check("logs", sees, err); err == nil {
		_ = logs.Close()
	}
	_, err = c.Exec(ctx, ref, protocol.ExecInput{Argv: []string{"say"}}, strings.NewReader(""), io.Discard, io.Discard)
	check("exec", secrets, err)
	_, err = c.Request(ctx, protocol.RequestInput{Reference: ref.Reference, Account: ref.Account, Release: "memcached"})
	check("request", secrets, err)
	_, err = c.Project(ctx, ref.Account)
	check("project", sees, err)
	_, err = c.SetProjectMember(ctx, ref.Account, "vera", protocol.ProjectMemberInput{Role: protocol.ProjectViewer})
	check("member", owner, err)
	_, err = c.Publish(ctx, protocol.PublishInput{Profile: profile, Account: ref.Account})
	check("publish", secrets, err)
	projects, err := c.Projects(ctx)
	if err != nil || (len(projects) == 1) != sees {
		w.t.Errorf("%s sees projects %v: %v", who, projects, err)
	}
	users, err := c.Users(ctx)
	if err != nil || len(users) > 1 {
		w.t.Errorf("%s sees users %v: %v", who, users, err)
	}
	supplies, err := c.Supplies(ctx)
	if err != nil || len(supplies) > 0 { // the operator's computers
		w.t.Errorf("%s sees supplies %v: %v", who, supplies, err)
	}
	tokens, err := c.Tokens(ctx)
	if err != nil || slices.ContainsFunc(tokens, func(t protocol.Token) bool { return t.Account == "operator" || t.Account == "acme" && !owner }) {
		w.t.Errorf("%s sees tokens %v: %v", who, tokens, err)
	}
	status, err := c.Status(ctx)
	if me := status.Whoami; err != nil || me.Operator || me.Token == "" || slices.Contains(me.Rights, "admin") && !owner && me.Account == "acme" {
		w.t.Errorf("%s is %+v: %v", who, me, err)
	}
}

// TestDisabled is about an account that may not ask any more: what it has goes
// on, and it sees that.
func TestDisabled(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a, _ := w.twoPeers()
		ctx := t.Context()
		w.project(a)
		dave := a.bearer(a.token(protocol.TokenInput{Role: protocol.RoleUser, Account: "dave"}))
		yes, no := true, false
		if u, err := a.ask().SetUser(ctx, "dave", protocol.UserChange{Disabled: &yes}); err != nil || !u.Disabled {
			t.Fatalf("%+v, %v", u, err)
		}
		acme := protocol.Ref{Reference: "db", Account: "acme"}
		if i, err := dave.Instance(ctx, acme); err != nil || i.State != protocol.StateStarted || len(i.Connection) > 0 {
			t.Errorf("what it sees: %+v, %v", i, err)
		}
		_, err := dave.SetState(ctx, acme, protocol.RequestStopped)
		says(t, err, protocol.ErrForbidden, "account dave is disabled")
		_, err = dave.CreateToken(ctx, protocol.TokenInput{Role: protocol.RoleUser})
		says(t, err, protocol.ErrForbidden, "account dave is disabled")
		_, err = dave.Exec(ctx, acme, protocol.ExecInput{Argv: []string{"say"}}, nil, io.Discard, io.Discard)
		says(t, err, protocol.ErrForbidden, "account dave is disabled")
		if len(a.host.runs()) != 1 {
			t.Error("what ran has ended")
		}
		if _, err := a.ask().SetUser(ctx, "dave", protocol.UserChange{Disabled: &no}); err != nil {
			t.Fatal(err)
		}
		if _, err := dave.SetState(ctx, acme, protocol.RequestStopped); err != nil {
			t.Error(err)
		}
		_, err = dave.SetUser(ctx, "zoe", protocol.UserChange{Disabled: &yes})
		says(t, err, protocol.ErrForbidden, "operators only")
		_, err = a.ask().SetUser(ctx, "operator", protocol.UserChange{Operator: &no})
		says(t, err, protocol.ErrConflict, "last operator")
	})
}

// TestExpiredTokens: who shows a token that is over learns nothing, not even
// how the mesh is.
func TestExpiredTokens(t *testing.T) {
	inBubble(t, func(w *world) {
		a, _ := w.twoPeers()
		token := a.token(protocol.TokenInput{Role: protocol.RoleUser, TTL: "1h"})
		c := a.bearer(token)
		if s, err := c.Status(w.t.Context()); err != nil || s.Whoami.Account != "operator" {
			w.t.Errorf("%+v, %v", s, err)
		}
		time.Sleep(2 * time.Hour)
		_, err := c.Status(w.t.Context())
		says(w.t, err, protocol.ErrUnauthorized, "expired")
	})
}

// TestMembersReach: peers of members reach what a project runs, unless they
// may only look.
func TestMembersReach(t *testing.T) {
	p := newPage(t, "ann", "bob", "eve", "zoe")
	r := p.publish("op", "x", "1", "x")
	p.write(ledger.AsPeer("ann"), ledger.CreateProject{Name: "acme"})
	p.write(ledger.AsPeer("ann"), ledger.SetMember{Project: "acme", Account: "peer-bob", Role: ledger.RoleDeveloper})
	p.write(ledger.AsPeer("ann"), ledger.SetMember{Project: "acme", Account: "peer-eve", Role: ledger.RoleViewer})
	p.write(ledger.AsPeer("ann"), ledger.Offer{Partitions: 5, Name: "ann"})
	p.write(ledger.AsPeer("ann"), ledger.Request{Account: "acme", Reference: "db", Release: r})
	i, _ := p.InstanceByReference("acme", "db")
	p.write(ledger.AsPeer("ann"), ledger.Report{Instances: []ledger.InstanceReport{{
		ID: i.ID, Generation: i.Generation, State: ledger.InstanceStarted, Ports: map[string]uint16{"x": 1000},
	}}})
	at := netip.AddrPortFrom(i.Address, 1000)
	there := fmt.Sprintf("[{%s false ann}]", at)
	check := func(when, who string, may bool) {
		t.Helper()
		if err := mayReach(p.State, "ann", mesh.PeerID(who), tunnel.Want{Address: at}); (err == nil) != may {
			t.Errorf("%s, %s reaches it: %v, want %v", when, who, err, may)
		}
		want := "[]"
		if may && who != "ann" {
			want = there
		}
		if got := fmt.Sprint(tunnels(p.State, ledger.PeerID(who), "elsewhere", false)); got != want {
			t.Errorf("%s, %s listens on %s, want %s", when, who, got, want)
		}
	}
	for who, may := range map[string]bool{"ann": true, "bob": true, "eve": false, "zoe": false} {
		check("first", who, may)
	}
	p.write(ledger.AsPeer("op"), ledger.DisableAccount{Account: "peer-bob", Disabled: true})
	check("disabled", "bob", false)
	p.write(ledger.AsPeer("op"), ledger.DisableAccount{Account: "peer-bob"})
	p.write(ledger.AsPeer("ann"), ledger.RemoveMember{Project: "acme", Account: "peer-bob"})
	check("removed", "bob", false)
	p.write(ledger.AsPeer("ann"), ledger.SetMember{Project: "acme", Account: "peer-eve", Role: ledger.RoleOwner})
	check("raised", "eve", true)
}

// TestMembersPeer is about a computer of a member, which holds a slice of the
// ledger: it shows the project for as long as that is one, and passes on what
// it is asked to the computer where the instance is.
func TestMembersPeer(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a, _ := w.twoPeers()
		w.project(a)
		c := w.join(a, a.token(protocol.TokenInput{Role: protocol.RoleComputer, Account: "zoe"}), 1)
		ctx, ref := t.Context(), protocol.Ref{Reference: "db", Account: "acme"}
		w.eventually(5*time.Second, "it is not shown to a stranger", func() bool {
			_, err := c.ask().Instance(ctx, ref)
			return errors.Is(err, protocol.ErrForbidden)
		})

		for _, role := range []string{protocol.ProjectViewer, protocol.ProjectDeveloper} {
			if _, err := a.ask().SetProjectMember(ctx, "acme", "zoe", protocol.ProjectMemberInput{Role: role}); err != nil {
				t.Fatal(err)
			}
			secrets := role == protocol.ProjectDeveloper
			w.eventually(5*time.Second, "it is shown to a "+role, func() bool {
				i, err := c.ask().Instance(ctx, ref)
				return err == nil && i.State == protocol.StateStarted && (len(i.Connection) > 0) == secrets
			})
			logs, err := c.ask().Logs(ctx, ref, protocol.LogQuery{})
			if err != nil {
				t.Fatalf("logs for a %s: %v", role, err)
			}
			_ = logs.Close()
			_, err = c.ask().Exec(ctx, ref, protocol.ExecInput{Argv: []string{"say"}}, strings.NewReader(""), io.Discard, io.Discard)
			if (err == nil) != secrets {
				t.Errorf("exec for a %s: %v", role, err)
			}
		}
		if _, err := c.ask().SetState(ctx, ref, protocol.RequestStopped); err != nil {
			t.Error(err)
		}
		if err := c.ask().RemoveProjectMember(ctx, "acme", "zoe"); err != nil { // it leaves
			t.Error(err)
		}
		w.eventually(5*time.Second, "it is not shown any more", func() bool {
			_, err := c.ask().Instance(ctx, ref)
			return errors.Is(err, protocol.ErrForbidden)
		})
		if s := c.status(); s.Whoami.Account != "zoe" || len(s.Whoami.Projects) > 0 {
			t.Errorf("it is %+v", s.Whoami)
		}
	})
}

// TestInstancesReach: computers that have instances of one project reach what
// those publish, and no other; with the last one that ends.
func TestInstancesReach(t *testing.T) {
	p := newPage(t, "ann", "bob", "zoe")
	r := p.publish("op", "x", "1", "x")
	p.write(ledger.AsPeer("ann"), ledger.CreateProject{Name: "acme"})
	for _, computer := range []ledger.PeerID{"ann", "bob", "zoe"} {
		p.write(ledger.AsPeer(computer), ledger.Offer{Partitions: 5, Name: string(computer), Scope: ledger.ScopePublic})
	}
	started := func(account ledger.AccountName, reference ledger.Reference, computer ledger.ComputerID) netip.AddrPort {
		t.Helper()
		p.write(ledger.AsPeer("ann"), ledger.Request{Account: account, Reference: reference, Release: r, Filter: map[string]string{"computer": string(computer)}})
		i, _ := p.InstanceByReference(account, reference)
		p.write(ledger.AsPeer(ledger.PeerID(computer)), ledger.Report{Instances: []ledger.InstanceReport{{
			ID: i.ID, Generation: i.Generation, State: ledger.InstanceStarted, Ports: map[string]uint16{"x": 1000},
		}}})
		return netip.AddrPortFrom(i.Address, 1000)
	}
	db := started("acme", "db", "ann")
	started("peer-ann", "own", "bob") // of a user, not of a tree with others
	check := func(when, who string, may bool) {
		t.Helper()
		if err := mayReach(p.State, "ann", mesh.PeerID(who), tunnel.Want{Address: db}); (err == nil) != may {
			t.Errorf("%s, %s reaches it: %v, want %v", when, who, err, may)
		}
		listens := strings.Contains(fmt.Sprint(tunnels(p.State, ledger.PeerID(who), "elsewhere", false)), db.String())
		if listens != may {
			t.Errorf("%s, %s listens: %v, want %v", when, who, listens, may)
		}
	}
	check("before", "bob", false)
	check("before", "zoe", false)
	started("acme", "web", "bob")
	check("with an instance of the project", "bob", true)
	check("with none", "zoe", false)
	p.write(ledger.AsPeer("ann"), ledger.SetState{Account: "acme", Reference: "web", State: ledger.InstanceDestroyed})
	i, _ := p.InstanceByReference("acme", "web")
	p.write(ledger.AsPeer("bob"), ledger.Report{Instances: []ledger.InstanceReport{{ID: i.ID, Generation: i.Generation, State: ledger.InstanceDestroyed}}})
	check("afterwards", "bob", false)
}
