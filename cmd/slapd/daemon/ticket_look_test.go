package daemon

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/protocol"
)

// TestLookingElsewhere: who has a token looks into an instance on a computer of
// somebody else, through any peer that knows the token; that computer, which
// does not know it, is shown a ticket for just that.
func TestLookingElsewhere(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		first := w.found(FoundOptions{Mesh: "home"}, 4)
		w.eventually(10*time.Second, "a quorum of one", func() bool { return first.status().Quorum && first.status().Account != "" })
		ann := w.join(first, first.token(protocol.TokenInput{Role: protocol.RoleComputer, Account: "ann"}), 4)
		token := first.token(protocol.TokenInput{Role: protocol.RoleUser, Account: "dora", TTL: "1d"})
		dora, ctx, shop := first.bearer(token), t.Context(), protocol.Ref{Reference: "shop"}
		w.eventually(time.Minute, "her computer is there", func() bool {
			_, err := dora.Request(ctx, protocol.RequestInput{Reference: "shop", Release: "redis", Filter: map[string]string{"computer": string(ann.id())}})
			return err == nil
		})
		w.eventually(time.Minute, "it is started", func() bool {
			i, err := dora.Instance(ctx, shop)
			return err == nil && i.State == protocol.StateStarted
		})
		if _, err := ann.bearer(token).Instance(ctx, shop); protocol.CodeOf(err) != protocol.ErrUnauthorized {
			t.Errorf("the computer knows the token: %v", err)
		}
		logs, err := dora.Logs(ctx, shop, protocol.LogQuery{})
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(logs)
		if string(said) != "shop runs\n" || err != nil || logs.Close() != nil {
			t.Errorf("logs %q, %v", said, err)
		}
		var out bytes.Buffer
		code, err := dora.Exec(ctx, shop, protocol.ExecInput{Argv: []string{"redis-cli", "ping"}}, nil, &out, io.Discard)
		if code != 7 || err != nil || out.String() != "redis-cli ping\n" {
			t.Errorf("exec %d, %q, %v", code, out.String(), err)
		}
		zoe := first.bearer(first.token(protocol.TokenInput{Role: protocol.RoleUser, Account: "zoe", TTL: "1d"}))
		if _, err := zoe.Logs(ctx, protocol.Ref{Reference: "shop", Account: "dora"}, protocol.LogQuery{}); protocol.CodeOf(err) != protocol.ErrForbidden {
			t.Errorf("another user's logs: %v", err)
		}
	})
}

// TestLookTicket: a ticket is good for one instance and one look, of whom it is
// for, and for nothing else that can be asked.
func TestLookTicket(t *testing.T) {
	p := newPage(t, "ann", "bob")
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	p.write(ledger.AsPeer("op"), ledger.CreateToken{ID: "v", Digest: make([]byte, 32), Role: ledger.RoleVoter, Uses: 1, Expires: noon.Add(time.Hour)})
	p.write(ledger.AsPeer("op"), ledger.Admit{TokenDigest: make([]byte, 32), Peer: "voter", PublicKey: key.Public().(ed25519.PublicKey), Name: "voter"})
	i := p.place("ann", "db", p.publish("op", "x", "1", "x"), "")
	good := ticketBody{Peer: "bob", Until: noon.Add(ticketLife).Unix(), By: "voter", Instance: i.ID, Look: lookLogs}
	data, err := signTicket(func(m []byte) []byte { return ed25519.Sign(key, m) }, "home", good)
	if err != nil {
		t.Fatal(err)
	}
	b, err := readTicket(p.State, "home", data, "bob", noon)
	if err != nil || b != good {
		t.Fatalf("%+v, %v", b, err)
	}
	if _, err := readTicket(p.State, "home", data, "ann", noon); err == nil || !strings.Contains(err.Error(), "for peer") {
		t.Errorf("another peer shows it: %v", err)
	}
	own := protocol.Ref{Reference: "db", Account: string(i.Account)}
	for _, tc := range []struct {
		name string
		ref  protocol.Ref
		look look
		may  bool
	}{
		{"its logs", own, lookLogs, true},
		{"a program in it", own, lookExec, false},
		{"of another account", protocol.Ref{Reference: "db", Account: "peer-bob"}, lookLogs, false},
	} {
		s := &service{caller: caller{ticket: &b, remote: true}}
		found, err := s.lookedInto(p.State, tc.ref, tc.look)
		if (err == nil) != tc.may || tc.may && found.ID != i.ID {
			t.Errorf("%s: %s, %v", tc.name, found.ID, err)
		}
	}
	d := &Daemon{}
	if _, err := d.ticketed("bob", base64.StdEncoding.EncodeToString(make([]byte, ticketMax+1))); protocol.CodeOf(err) != protocol.ErrUnauthorized {
		t.Errorf("a long one: %v", err)
	}
}
