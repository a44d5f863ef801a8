package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/protocol"
)

// says fails unless err has the words, and the code, if one is given.
func says(t *testing.T, err error, code protocol.Code, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one that says %q", words)
		return
	}
	if code != "" && protocol.CodeOf(err) != code {
		t.Errorf("%q has the code %q, want %q", err, protocol.CodeOf(err), code)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

// twoPeers founds a mesh of two and waits until the second has its part.
func (w *world) twoPeers() (a, b *testPeer) {
	w.t.Helper()
	a = w.found(FoundOptions{Mesh: "home"}, 2)
	w.eventually(10*time.Second, "a quorum", func() bool { return a.status().Quorum && a.status().Account != "" })
	b = w.join(a, a.token(protocol.TokenInput{Role: protocol.RoleVoter}), 2)
	w.eventually(time.Minute, "both see each other", func() bool {
		return a.status().Members == 2 && b.status().Members == 2 && len(b.status().Standbys) == 1 && b.status().Role == "standby"
	})
	w.eventually(time.Minute, "both offer their partitions", func() bool {
		n := 0
		for range b.view().Computers() {
			n++
		}
		return n == 2
	})
	return a, b
}

// TestJoinRefused is about who may not join, and what is said to them.
func TestJoinRefused(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a, b := w.twoPeers()
		other := w.found(FoundOptions{Mesh: "elsewhere"}, 2)
		w.eventually(10*time.Second, "a quorum", func() bool { return other.status().Quorum && other.status().Account != "" })
		c := w.newPeer(2)

		says(t, c.join(b, "slapd1-nonsense"), "", "token")
		says(t, c.join(b, ""), "", "a token is needed", "slapd token create")
		unknown := mesh.Token{CADigest: a.digest(), Secret: [16]byte{1}}
		says(t, c.join(b, unknown.String()), "", b.address(), "not known to this mesh")
		says(t, c.join(b, other.token(protocol.TokenInput{})), "", b.address())
		says(t, c.join(b, a.token(protocol.TokenInput{Role: protocol.RoleUser})), "", "not for joining")

		short := a.token(protocol.TokenInput{TTL: "1m"})
		time.Sleep(2 * time.Minute)
		says(t, c.join(b, short), "", "expired")

		revoked, err := a.ask().CreateToken(t.Context(), protocol.TokenInput{})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.ask().RevokeToken(t.Context(), revoked.ID); err != nil {
			t.Fatal(err)
		}
		says(t, c.join(b, revoked.Token), "", "was revoked")

		c.config.Clock = func() time.Time { return time.Now().Add(24 * time.Hour) }
		token := a.token(protocol.TokenInput{})
		says(t, c.join(b, token), "", "clock", "24h0m", "ahead")
		c.config.Clock = time.Now

		if err := c.join(b, token); err != nil {
			t.Errorf("the token is used up by who was refused: %v", err)
		}
		if err := c.join(a, token); err != nil {
			t.Errorf("who joins again through another peer is refused: %v", err)
		}
		d := w.newPeer(2)
		says(t, d.join(b, token), "", "used up")
		says(t, c.join(other, other.token(protocol.TokenInput{})), "", "belongs to mesh home", "the invitation is to another", "--dir")
		if err := c.join(other, other.token(protocol.TokenInput{})); !errors.Is(err, mesh.ErrOtherMesh) {
			t.Errorf("the folder of another mesh: %v", err)
		}
		says(t, Found(c.config, FoundOptions{}), "", "belongs to mesh home", "slapd run")
		_, err = Open(t.Context(), d.config, Settings{})
		says(t, err, "", "belongs to no mesh yet", "slapd init", "slapd join")
	})
}

func (p *testPeer) digest() [32]byte {
	d, _ := p.running()
	return d.mesh.Digest()
}

// TestOneFolder is about two daemons on one state folder.
func TestOneFolder(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a := w.found(FoundOptions{}, 2)
		_, err := Open(t.Context(), a.config, Settings{})
		says(t, err, "", "in use by another slapd", "pid", "--dir")
	})
}

// TestRequestRefused is about requests that cannot be served.
func TestRequestRefused(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a, b := w.twoPeers()
		ask := func(in protocol.RequestInput) error {
			_, err := b.ask().Request(t.Context(), in)
			return err
		}
		says(t, ask(protocol.RequestInput{Reference: "x", Release: "oracle"}), protocol.ErrNotFound, "oracle", "there are", "memcached")
		says(t, ask(protocol.RequestInput{Reference: "x", Release: "memcached@0.1"}), protocol.ErrNotFound, "version 0.1", "memcached@1.6")
		says(t, ask(protocol.RequestInput{Reference: "x"}), protocol.ErrInvalid, "a release is needed")
		says(t, ask(protocol.RequestInput{Reference: "x", Release: "sha256:" + strings.Repeat("0", 64)}), protocol.ErrNotFound, "not published")
		says(t, ask(protocol.RequestInput{
			Reference: "x", Release: "memcached",
			Parameters: map[string]json.RawMessage{"connections": json.RawMessage(`"many"`), "colour": json.RawMessage(`1`)},
		}), protocol.ErrInvalid, "request x", "connections", "colour")
		says(t, ask(protocol.RequestInput{Reference: "x", Release: "memcached", Filter: map[string]string{"country": "FR"}}),
			protocol.ErrExhausted, "no partition for x", "2 computers", "country")
		says(t, ask(protocol.RequestInput{Reference: "x", Release: "memcached", Account: "nobody"}), protocol.ErrNotFound, "nobody")
		for _, ref := range []string{"a", "b", "c", "d"} {
			if err := ask(protocol.RequestInput{Reference: ref, Release: "memcached"}); err != nil {
				t.Fatal(err)
			}
		}
		says(t, ask(protocol.RequestInput{Reference: "e", Release: "memcached"}), protocol.ErrExhausted, "no partition for e", "2 full")
		if err := ask(protocol.RequestInput{Reference: "a"}); err != nil {
			t.Errorf("the same again: %v", err)
		}

		broken, err := release.NewBundle(map[string][]byte{"release.star": []byte("release(name = \"x\",\n  colour = 1)\n")})
		if err != nil {
			t.Fatal(err)
		}
		_, err = a.ask().Publish(t.Context(), protocol.PublishInput{Profile: broken.Encode()})
		says(t, err, protocol.ErrInvalid, "release.star:")
	})
}

// TestDoors is about who is let in.
func TestDoors(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a, b := w.twoPeers()
		ctx := t.Context()
		call := func(token string) error {
			_, err := b.bearer(token).Instances(ctx, protocol.InstanceQuery{})
			return err
		}
		says(t, call(""), protocol.ErrUnauthorized, "no token", "slapd token create --role user")
		says(t, call("secret"), protocol.ErrUnauthorized, "token")
		says(t, call((mesh.Token{CADigest: a.digest()}).String()), protocol.ErrUnauthorized, "not known to this peer")

		made, err := a.ask().CreateToken(ctx, protocol.TokenInput{Role: protocol.RoleUser, Account: "ann", TTL: "1h"})
		if err != nil {
			t.Fatal(err)
		}
		w.eventually(5*time.Second, "the token is known", func() bool { return call(made.Token) == nil })
		ann := b.bearer(made.Token)
		_, err = ann.Request(ctx, protocol.RequestInput{Reference: "x", Release: "memcached", Account: "operator"})
		says(t, err, protocol.ErrForbidden, "you act for ann")
		_, err = ann.CreateToken(ctx, protocol.TokenInput{Role: protocol.RoleVoter})
		says(t, err, protocol.ErrForbidden)
		says(t, ann.RemoveMember(ctx, string(a.id())), protocol.ErrForbidden, "operator")
		says(t, ann.Leave(ctx, protocol.LeaveInput{}), protocol.ErrForbidden, "operators only")

		if _, err := b.ask().Request(ctx, protocol.RequestInput{Reference: "x", Release: "memcached"}); err != nil {
			t.Fatal(err)
		}
		_, err = ann.Instance(ctx, protocol.Ref{Reference: "x"})
		says(t, err, protocol.ErrNotFound, "instance x")

		time.Sleep(2 * time.Hour)
		says(t, call(made.Token), protocol.ErrUnauthorized, "expired")
	})
}

// TestSessions is about logs and programs of an instance, asked through the
// peer that does not run it.
func TestSessions(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a, b := w.twoPeers()
		ctx := t.Context()
		for _, here := range []*testPeer{a, b} {
			ref := protocol.Ref{Reference: "on-" + here.name}
			if _, err := a.ask().Request(ctx, protocol.RequestInput{
				Reference: ref.Reference, Release: "memcached", Filter: map[string]string{"computer": here.name},
			}); err != nil {
				t.Fatal(err)
			}
			w.eventually(time.Minute, "it is started", func() bool {
				i, err := b.ask().Instance(ctx, ref)
				return err == nil && i.State == protocol.StateStarted && i.ComputerName == here.name && i.Connection["url"] != ""
			})
			for _, p := range []*testPeer{a, b} {
				logs, err := p.ask().Logs(ctx, ref, protocol.LogQuery{})
				if err != nil {
					t.Fatalf("logs of %s through %s: %v", ref.Reference, p.name, err)
				}
				text, err := io.ReadAll(logs)
				if want := ref.Reference + " runs\n"; err != nil || string(text) != want {
					t.Errorf("logs of %s through %s: %q, %v", ref.Reference, p.name, text, err)
				}
				_ = logs.Close()
				var out bytes.Buffer
				code, err := p.ask().Exec(ctx, ref, protocol.ExecInput{Argv: []string{"say", "it"}}, strings.NewReader(""), &out, io.Discard)
				if err != nil || code != 7 || out.String() != "say it\n" {
					t.Errorf("exec in %s through %s: %q, %d, %v", ref.Reference, p.name, out.String(), code, err)
				}
			}
		}
	})
}

// TestRemoved is about a peer that was removed from the mesh: it is expelled
// at once, ends its instances and itself, and does not come back. Only who may
// keep the ledger can tell it so.
func TestRemoved(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a, b := w.twoPeers()
		c := w.join(a, a.token(protocol.TokenInput{Role: protocol.RoleComputer}), 2)
		if _, err := a.ask().Request(t.Context(), protocol.RequestInput{Reference: "x", Release: "memcached", Filter: map[string]string{"computer": b.name}}); err != nil {
			t.Fatal(err)
		}
		w.eventually(time.Minute, "it runs on b", func() bool { return len(b.host.runs()) == 1 })

		d, _ := b.running()
		d.toldRemoved(c.id()) // it may not vote, so it may not say so
		d.toldRemoved("nobody")
		time.Sleep(10 * time.Second)
		if s := b.status(); !s.Quorum || s.Members != 3 || len(b.host.runs()) != 1 {
			t.Errorf("who may not vote tells it that it was removed: quorum %v, %d members, runs %v", s.Quorum, s.Members, b.host.runs())
		}

		begin := time.Now()
		if err := a.ask().RemoveMember(t.Context(), b.name); err != nil {
			t.Fatal(err)
		}
		words := []string{"removed from mesh home", "says so", "instances are ended", "data is kept", "new state folder", "new token"}
		select {
		case <-d.stopping:
		case <-time.After(time.Minute):
		}
		says(t, b.ended(), "", words...)
		w.logf("b knows that it was removed, and has ended, after %v", time.Since(begin))
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("it learnt after %v that it was removed", took)
		}
		if len(b.host.runs()) > 0 || len(b.host.data) != 1 {
			t.Errorf("who was removed runs %v, and keeps the data of %d instances", b.host.runs(), len(b.host.data))
		}
		w.eventually(time.Minute, "two are left", func() bool { return a.status().Members == 2 && len(a.status().Standbys) == 0 })
		_, err := Open(t.Context(), b.config, Settings{})
		says(t, err, "", words...)
		says(t, b.join(a, a.token(protocol.TokenInput{})), "", "removed from the mesh for good")
	})
}

// TestRemovedUnread is about a peer that was removed and has no copy of the
// ledger that names a voter: it believes that it was removed if nobody lets it
// read one, and only then.
func TestRemovedUnread(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a := w.found(FoundOptions{Mesh: "home"}, 2)
		w.eventually(10*time.Second, "a quorum", func() bool { return a.status().Quorum && a.status().Account != "" })
		b := w.join(a, a.token(protocol.TokenInput{Role: protocol.RoleComputer}), 2)
		forget := func() {
			time.Sleep(5 * time.Second)
			b.stop()
			if err := os.Remove(filepath.Join(b.config.Dir, "slice")); err != nil {
				t.Fatal(err)
			}
		}
		forget()
		b.run()
		d, _ := b.running()
		d.toldRemoved("nobody") // before it has read anything
		time.Sleep(time.Minute)
		if s := b.status(); !s.Quorum || s.Members != 2 {
			t.Errorf("a rumour is enough: quorum %v, %d members", s.Quorum, s.Members)
		}
		forget()
		if err := a.ask().RemoveMember(t.Context(), string(b.id())); err != nil {
			t.Fatal(err)
		}
		b.run()
		d, _ = b.running()
		select {
		case <-d.stopping:
		case <-time.After(time.Minute):
		}
		says(t, b.ended(), "", "removed from mesh home", "says so")
	})
}

// TestLeave is about a peer that leaves of its own will, and joins again.
func TestLeave(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a, b := w.twoPeers()
		ctx := t.Context()
		if _, err := a.ask().Request(ctx, protocol.RequestInput{Reference: "x", Release: "memcached", Filter: map[string]string{"computer": "p1"}}); err != nil {
			t.Fatal(err)
		}
		says(t, b.ask().Leave(ctx, protocol.LeaveInput{}), protocol.ErrConflict, "instances", "--force")
		if err := b.ask().Leave(ctx, protocol.LeaveInput{Force: true}); err != nil {
			t.Fatal(err)
		}
		w.eventually(time.Minute, "a is alone", func() bool { return a.status().Members == 1 && len(a.status().Standbys) == 0 })
		b.stop()
		if left := b.host.runs(); len(left) > 0 {
			t.Errorf("still runs after it left: %v", left)
		}
		_, err := Open(ctx, b.config, Settings{})
		says(t, err, "", "belongs to no mesh yet")
		if err := b.join(a, a.token(protocol.TokenInput{})); err != nil {
			t.Fatal(err)
		}
		b.run()
		w.eventually(time.Minute, "both see each other again", func() bool { return a.status().Members == 2 && b.status().Quorum })
	})
}

// TestOldLedger is about a computer whose copy of the ledger is older than
// what it acted on last: it waits.
func TestOldLedger(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a := w.found(FoundOptions{}, 2)
		w.eventually(10*time.Second, "a quorum", func() bool { return a.status().Quorum && a.status().Account != "" })
		a.stop()
		f, err := openFolder(a.config.Dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(writeJSON(f.file(actedFile), actedRecord{Index: 1000}), f.Close()); err != nil {
			t.Fatal(err)
		}
		a.run()
		w.eventually(10*time.Second, "a quorum", func() bool { return a.status().Quorum && a.status().Account != "" })
		if _, err := a.ask().Request(t.Context(), protocol.RequestInput{Reference: "x", Release: "memcached"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if runs := a.host.runs(); len(runs) > 0 {
			t.Errorf("runs %v by a ledger at %d, though it acted on 1000", runs, a.view().Index())
		}
		for n := 0; a.view().Index() < 1000; n++ {
			a.token(protocol.TokenInput{Role: protocol.RoleUser})
		}
		w.eventually(2*time.Minute, "it runs", func() bool { return len(a.host.runs()) == 1 })
	})
}
