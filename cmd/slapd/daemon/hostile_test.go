package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/protocol"
)

// These tests are about a hostile peer: one that was admitted as a computer,
// and whose certificate is good, but which sends what it likes.

// send calls another peer as the hostile one, with any words.
func (p *testPeer) send(to *testPeer, method, path string, body any, header ...string) (status int, answer string) {
	p.w.t.Helper()
	d, _ := p.running()
	var text []byte
	switch b := body.(type) {
	case nil:
	case []byte:
		text = b
	default:
		var err error
		if text, err = json.Marshal(b); err != nil {
			p.w.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(p.w.t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, d.rpc.url(to.id(), path), bytes.NewReader(text))
	if err != nil {
		p.w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for n := 0; n+1 < len(header); n += 2 {
		r.Header.Set(header[n], header[n+1])
	}
	resp, err := d.rpc.client.Do(r)
	if err != nil {
		p.w.t.Fatalf("%s %s at %s: %v", method, path, to.name, err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		p.w.t.Fatalf("%s %s at %s: %v", method, path, to.name, err)
	}
	return resp.StatusCode, string(got)
}

// hostileWorld is two peers that may vote, a computer of ann's, and a hostile
// one, which is mallory's.
func hostileWorld(t *testing.T, f func(w *world, a, b, ann, hostile *testPeer)) {
	t.Helper()
	inBubble(t, func(w *world) {
		a, b := w.twoPeers()
		ann := w.join(a, a.token(protocol.TokenInput{Role: protocol.RoleComputer, Account: "ann"}), 2)
		hostile := w.join(a, a.token(protocol.TokenInput{Role: protocol.RoleComputer, Account: "mallory"}), 2)
		w.eventually(time.Minute, "all see one another", func() bool {
			for _, p := range w.peers {
				if p.status().Members != 4 {
					return false
				}
			}
			return true
		})
		f(w, a, b, ann, hostile)
	})
}

// TestHostileSpeaksForAnother is about a member that has another peer say what
// it may not say itself.
func TestHostileSpeaksForAnother(t *testing.T) {
	hostileWorld(t, func(w *world, a, b, ann, hostile *testPeer) {
		t := w.t
		tokens := len(must(a.ask().Tokens(t.Context())))
		for _, call := range []struct {
			method, path string
			body         any
		}{
			{"POST", "/v1/tokens", protocol.TokenInput{Role: protocol.RoleVoter, Uses: 9}},
			{"POST", "/v1/tokens", protocol.TokenInput{Role: protocol.RoleUser, Account: "ann"}},
			{"PUT", "/v1/members/" + string(hostile.id()) + "/role", map[string]string{"role": "voter"}},
			{"DELETE", "/v1/members/" + string(ann.id()), nil},
			{"POST", "/v1/instances", protocol.RequestInput{Reference: "mine", Release: "memcached"}},
			{"POST", "/v1/quotes", protocol.RequestInput{Reference: "mine", Release: "/etc"}},
			{"POST", "/v1/releases", protocol.PublishInput{}},
			{"POST", "/v1/supplies", protocol.SupplyInput{Release: "memcached"}},
			{"POST", "/v1/leave", protocol.LeaveInput{Force: true}},
			{"GET", "/v1/tokens", nil},
			{"GET", "/v1/status", nil},
			{"GET", "/v1/instances", nil},
			{"POST", "/software_instance_module/", nil},
		} {
			for _, to := range []*testPeer{a, b, ann} {
				if status, answer := hostile.send(to, call.method, call.path, call.body); status != http.StatusNotFound {
					t.Errorf("%s %s at %s: %d %.200s", call.method, call.path, to.name, status, answer)
				}
			}
		}
		// What a peer passes on for another is asked as that other one.
		leader := w.leader([]*testPeer{a, b})
		for _, path := range []string{"/v1/history", "/v1/invoice"} {
			if status, answer := hostile.send(leader, "GET", path+"?account=ann&format=json", nil); status != http.StatusForbidden && status != http.StatusNotFound {
				t.Errorf("GET %s of ann: %d %.200s", path, status, answer)
			}
		}
		v := leader.view()
		if p, _ := v.Peer(ledger.PeerID(hostile.id())); p.Role != ledger.RoleComputer || p.Operator {
			t.Errorf("it made itself %s", p.Role)
		}
		if now := len(must(a.ask().Tokens(t.Context()))); now != tokens {
			t.Errorf("%d tokens, there were %d", now, tokens)
		}
		if n := len(a.status().Standbys) + len(a.status().Voters); n != 2 || a.status().Members != 4 {
			t.Errorf("%d seats, %d members", n, a.status().Members)
		}
	})
}

// TestHostileSigns is about a member that asks for certificates and admissions
// in another's name.
func TestHostileSigns(t *testing.T) {
	hostileWorld(t, func(w *world, a, b, ann, hostile *testPeer) {
		t := w.t
		leader := w.leader([]*testPeer{a, b})
		other := ann.id()
		key := must(mesh.LoadOrCreateIdentity(ann.config.Dir)).PublicKey()
		if status, answer := hostile.send(leader, "POST", renewPath, renewal{key}); status == http.StatusOK {
			t.Errorf("it got a certificate for the key of ann's: %.100s", answer)
		}
		for name, a := range map[string]mesh.Admission{
			"a key that is not the peer's": {Open: true, Peer: other, PublicKey: must(mesh.NewIdentity(zeros{})).PublicKey(), Name: "x"},
			"no token":                     {Open: true, Peer: must(mesh.NewIdentity(zeros{})).ID(), PublicKey: must(mesh.NewIdentity(zeros{})).PublicKey(), Name: "x"},
		} {
			if status, answer := hostile.send(leader, "POST", admitPath, a); status == http.StatusOK {
				t.Errorf("%s: %.100s", name, answer)
			}
		}
		if status, answer := hostile.send(ann, "POST", seatPath, seatOffer{Seat: 7}); status == http.StatusOK {
			t.Errorf("it gave ann's a seat: %.100s", answer)
		}
	})
}

// TestHostileReads is about a member that asks for more of the ledger than
// its slice.
func TestHostileReads(t *testing.T) {
	hostileWorld(t, func(w *world, a, b, ann, hostile *testPeer) {
		t := w.t
		const secret = "topsecret"
		if _, err := ann.ask().Request(t.Context(), protocol.RequestInput{
			Reference: "db", Release: "mariadb", Filter: map[string]string{"computer": ann.name},
			Parameters: map[string]json.RawMessage{"database": json.RawMessage(`"` + secret + `"`)},
		}); err != nil {
			t.Fatal(err)
		}
		w.eventually(time.Minute, "it runs at ann's", func() bool { return len(ann.host.runs()) == 1 })
		leader := w.leader([]*testPeer{a, b})
		hd, _ := hostile.running()
		for _, to := range []*testPeer{a, b, ann} {
			for _, path := range []string{"/journal/v1/chunk?from=0&to=9"} {
				if status, answer := hostile.send(to, "GET", path, nil); status == http.StatusOK {
					t.Errorf("%s at %s: %d %.60s", path, to.name, status, answer)
				}
			}
		}
		// It is itself who watches, whatever it says of itself.
		for _, query := range []string{"", "?since=1&epoch=1&account=ann&all=true", "?account=operator&all=true&projects=ann:owner"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			r := must(http.NewRequestWithContext(ctx, http.MethodGet, hd.rpc.url(leader.id(), "/ledger/v1/watch"+query), nil))
			resp, err := hd.rpc.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body) // until the time is over
			_ = resp.Body.Close()
			cancel()
			if resp.StatusCode != http.StatusOK || len(got) == 0 {
				t.Errorf("watch%s: %d, %d bytes", query, resp.StatusCode, len(got))
			}
			if strings.Contains(string(got), secret) {
				t.Errorf("watch%s tells it what is ann's", query)
			}
			for token := range leader.view().AllTokens() {
				if bytes.Contains(got, token.Digest) {
					t.Errorf("watch%s tells the digest of token %s of %s", query, token.ID, token.Account)
				}
			}
		}
		for _, path := range []string{"/v1/instances/db/logs?account=ann", "/v1/instances/db/logs"} {
			if status, answer := hostile.send(ann, "GET", path, nil); status == http.StatusOK {
				t.Errorf("%s: %.100s", path, answer)
			}
		}
		// Nor does it open the log.
		if c, err := hd.mesh.Dial(t.Context(), leader.id(), mesh.KindRaft); err == nil {
			_ = c.Close()
			t.Error("it opened a stream of raft")
		}
	})
}

// must is for what cannot fail in a test.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// zeros is a source of the random that is none.
type zeros struct{}

// Read fills p.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
