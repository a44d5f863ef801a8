package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
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
				if _, read := p.view().Mesh(); !read || p.status().Members != 4 {
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

// TestHostileFlood is about a member that calls and calls: it is held to its
// rate, and others are answered meanwhile.
func TestHostileFlood(t *testing.T) {
	hostileWorld(t, func(w *world, a, b, ann, hostile *testPeer) {
		t := w.t
		leader := w.leader([]*testPeer{a, b})
		var mu sync.Mutex
		var wg sync.WaitGroup
		count := map[int]int{}
		for range 60 {
			wg.Go(func() {
				for range int(callRate.burst) / 40 {
					status, _ := hostile.send(leader, "POST", standingPath, struct{}{})
					mu.Lock()
					count[status]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if count[http.StatusTooManyRequests] == 0 || count[http.StatusOK] < int(callRate.burst)-500 {
			t.Errorf("answers %v", count)
		}
		if _, err := ann.ask().Request(t.Context(), protocol.RequestInput{Reference: "x", Release: "memcached"}); err != nil {
			t.Errorf("another member: %v", err)
		}
		time.Sleep(10 * time.Second)
		if status, answer := hostile.send(leader, "POST", standingPath, struct{}{}); status != http.StatusOK {
			t.Errorf("after a pause: %d %s", status, answer)
		}
	})
}

// A liar is a hostile peer without a daemon: it answers whatever others ask
// it, and says that it leads and that the ledger is empty but for itself.
type liar struct {
	*mesh.Mesh
	mu    sync.Mutex
	asked []string
}

// lie has the peer's place taken by a liar, which shows its certificate.
func (p *testPeer) lie(seeds []mesh.Descriptor) (l *liar, stop func()) {
	t := p.w.t
	t.Helper()
	p.stop()
	m, err := mesh.Open(mesh.Config{
		Identity:    must(mesh.LoadOrCreateIdentity(p.config.Dir)),
		Credentials: must(mesh.LoadCredentials(p.config.Dir)),
		Socket:      p.w.socket(), Name: p.name, Clock: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	m.AddSeeds(seeds)
	l = &liar{Mesh: m}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() { _ = m.Run(ctx) })
	server := &http.Server{
		Handler: l, ReadHeaderTimeout: time.Minute,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, callerKey{}, mesh.PeerOf(c))
		},
	}
	wg.Go(func() { _ = server.Serve(m.Listen(mesh.KindRPC)) })
	return l, func() {
		cancel()
		_ = server.Close()
		_ = m.Close()
		wg.Wait()
	}
}

// ServeHTTP lies.
func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	l.asked = append(l.asked, r.URL.Path)
	l.mu.Unlock()
	self := string(l.Self())
	switch r.URL.Path {
	case standingPath:
		_ = json.NewEncoder(w).Encode(Standing{
			Role: partVoter, Leads: true, Leader: self, Term: 1 << 40, CommitIndex: 1 << 40,
			Voters: []string{self}, Standbys: []string{}, Seats: []uint64{1}, Quorum: true, Rules: 1000,
		})
	default:
		w.WriteHeader(http.StatusOK) // a slice that never comes
	}
}

// of lists what of a prefix it was asked.
func (l *liar) of(prefix string) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, path := range l.asked {
		if strings.HasPrefix(path, prefix) {
			out = append(out, path)
		}
	}
	return out
}

// TestHostileLedger is about a member that claims to keep the ledger: nobody
// asks it, not even a newcomer that knows nobody else at first.
func TestHostileLedger(t *testing.T) {
	hostileWorld(t, func(w *world, a, b, _, hostile *testPeer) {
		t := w.t
		ad, _ := a.running()
		l, stop := hostile.lie(ad.mesh.Seeds())
		defer stop()
		w.eventually(time.Minute, "it is seen", func() bool { return a.status().Members == 4 && len(l.Members()) >= 4 })
		newcomer := w.newPeer(2)
		if err := newcomer.join(a, a.token(protocol.TokenInput{Role: protocol.RoleComputer, Account: "new"})); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(newcomer.config.Dir, "peers.cbor")); err != nil {
			t.Fatal(err)
		}
		newcomer.config.Seeds = nil
		for _, d := range l.Seeds() {
			if d.Peer == l.Self() {
				newcomer.config.Seeds = append(newcomer.config.Seeds, d)
			}
		}
		newcomer.run()
		w.eventually(time.Minute, "the newcomer reads the ledger", func() bool {
			m, _ := newcomer.view().Mesh()
			return m.Name == "home"
		})
		time.Sleep(2 * time.Minute) // for seats that would be given up, rules raised, and the like
		if s := newcomer.status(); s.Leader != string(w.leader([]*testPeer{a, b}).id()) || !s.Quorum {
			t.Errorf("the newcomer believes that %s leads", s.Leader)
		}
		for _, p := range []*testPeer{a, b} {
			if s := p.status(); len(s.Voters)+len(s.Standbys) != 2 || s.Leader == string(l.Self()) {
				t.Errorf("%s: voters %v, standbys %v, leader %s", p.name, s.Voters, s.Standbys, s.Leader)
			}
		}
		for _, path := range []string{"/ledger/", standingPath, admitPath, renewPath} {
			if asked := l.of(path); len(asked) > 0 {
				t.Errorf("it was asked %v", asked)
			}
		}
	})
}
