package mesh_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"
	"go.uber.org/goleak"

	"github.com/slapmesh/slapmesh/mesh"
)

// TestMain checks that nothing runs on after the tests, but for a probe of
// memberlist, which ends by itself within seconds.
func TestMain(m *testing.M) {
	if env := os.Getenv(peerEnv); env != "" {
		if err := runPeer(env); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"))
}

// world is a mesh under test: a CA, and an Admitter with one token that can
// be used any number of times unless a test says otherwise.
type world struct {
	tb    testing.TB
	t     *testing.T // in a bubble
	ca    *mesh.CA
	token mesh.Token
	now   func() time.Time
	life  time.Duration // of certificates
	net   *simnet.Simnet
	delay func() time.Duration // of the next socket's packets; nil: 5 ms
	cut   *cutRouter

	mu       sync.Mutex
	refuse   string // why the Admitter refuses, if not ""
	revoked  map[mesh.PeerID]bool
	admits   []mesh.Admission
	readmits int
	next     byte
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	ca, err := mesh.NewCA("test", rand.Reader, time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	w := &world{tb: tb, ca: ca, now: time.Now, revoked: map[mesh.PeerID]bool{}}
	w.token.CADigest = ca.Digest()
	copy(w.token.Secret[:], "sixteen bytes!!!")
	return w
}

// inBubble runs f in virtual time on a simulated network.
func inBubble(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cut = &cutRouter{groups: map[string]int{}, boxes: boxes{all: map[netip.Addr]*box{}, behind: map[netip.Addr]*box{}}}
		w.net = &simnet.Simnet{Router: w.cut}
		t.Cleanup(func() { time.Sleep(time.Minute) }) // for the last probe of memberlist
		w.t = t
		f(w)
	})
}

// cutRouter delivers between peers of one group only, through translators.
type cutRouter struct {
	simnet.PerfectRouter
	mu     sync.Mutex
	groups map[string]int
	boxes  boxes
	lost   func() bool // decides for each packet; nil: none is
}

func (r *cutRouter) SendPacket(p simnet.Packet) error {
	r.mu.Lock()
	same := r.groups[p.From.String()] == r.groups[p.To.String()] && r.boxes.translate(&p) && (r.lost == nil || !r.lost())
	r.mu.Unlock()
	if !same {
		return nil
	}
	_ = r.PerfectRouter.SendPacket(p) // like UDP: nobody hears of it
	return nil
}

func (r *cutRouter) move(addr net.Addr, group int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.groups[addr.String()] = group
}

// socket returns the next one: simulated in a bubble, of the loopback outside.
func (w *world) socket() net.PacketConn {
	w.next++
	if w.net == nil {
		s, err := mesh.Bind("127.0.0.1:0")
		if err != nil {
			w.tb.Fatal(err)
		}
		return s
	}
	return w.socketAt(&net.UDPAddr{IP: net.IPv4(10, 0, 0, w.next).To4(), Port: 7527})
}

func (w *world) socketAt(addr *net.UDPAddr) net.PacketConn {
	latency := 5 * time.Millisecond
	if w.delay != nil {
		latency = w.delay()
	}
	link := &simnet.SimulatedLink{Latency: latency, UploadPacket: w.cut}
	s := simnet.NewBlockingSimConn(addr, link)
	link.Start() // before anything can arrive
	w.cut.AddNode(addr, link)
	w.tb.Cleanup(func() { _ = link.Close() })
	return s
}

// Admit lets in who has the token, as the ledger would.
func (w *world) Admit(_ context.Context, a mesh.Admission) (mesh.AdmissionReply, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.admits = append(w.admits, a)
	switch {
	case w.refuse != "":
		return mesh.AdmissionReply{}, mesh.Refuse(w.refuse)
	case !a.Open && a.TokenDigest != w.token.Digest():
		return mesh.AdmissionReply{}, mesh.Refuse("no such token: it was revoked, used up, or never made here")
	}
	der, err := w.ca.Issue(mesh.IssueRequest{PublicKey: a.PublicKey, Now: w.now(), Lifetime: w.life})
	return mesh.AdmissionReply{CertificateDER: der, Role: "voter", Account: "ann", Epoch: 1}, err
}

// Inspect says what Admit would.
func (w *world) Inspect(_ context.Context, a mesh.Admission) (mesh.Invitation, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.refuse != "":
		return mesh.Invitation{}, mesh.Refuse(w.refuse)
	case !a.Open && a.TokenDigest != w.token.Digest():
		return mesh.Invitation{}, mesh.Refuse("no such token: it was revoked, used up, or never made here")
	}
	return mesh.Invitation{Role: "voter", Account: "ann", Uses: 1}, nil
}

// Readmit renews for every key, as the ledger would for those it knows.
func (w *world) Readmit(_ context.Context, a mesh.Admission) (mesh.AdmissionReply, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse != "" {
		return mesh.AdmissionReply{}, mesh.Refuse(w.refuse)
	}
	w.readmits++
	der, err := w.ca.Issue(mesh.IssueRequest{PublicKey: a.PublicKey, Now: w.now(), Lifetime: w.life})
	return mesh.AdmissionReply{CertificateDER: der, Role: "voter", Account: "ann", Epoch: 1}, err
}

func (w *world) isRevoked(id mesh.PeerID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.revoked[id]
}

func (w *world) credentials(id *mesh.Identity) mesh.Credentials {
	der, err := w.ca.Issue(mesh.IssueRequest{PublicKey: id.PublicKey(), Now: w.now(), Lifetime: w.life})
	if err != nil {
		w.tb.Fatal(err)
	}
	return mesh.Credentials{CertificateDER: der, CADER: w.ca.CertificateDER(), MeshName: w.ca.Name()}
}

// config is that of a new member.
func (w *world) config() mesh.Config {
	return w.configWith(w.socket())
}

func (w *world) configWith(socket net.PacketConn) mesh.Config {
	id := newIdentity(w.tb)
	c := mesh.Config{
		Identity:    id,
		Credentials: w.credentials(id),
		Socket:      socket,
		Name:        fmt.Sprintf("p%02d", w.next),
		Host:        "here",
		Admitter:    w,
		Revoked:     w.isRevoked,
		Clock:       w.now,
	}
	if os.Getenv("V") != "" {
		c.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("self", c.Name)
	}
	return c
}

// peer is a running mesh and how to stop it.
type peer struct {
	*mesh.Mesh
	config mesh.Config
	stop   func()
}

func (w *world) open(c mesh.Config) *peer {
	w.tb.Helper()
	m, err := mesh.Open(c)
	if err != nil {
		w.tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := m.Run(ctx); err != nil {
			w.tb.Error(err)
		}
	}()
	p := &peer{Mesh: m, config: c}
	p.stop = sync.OnceFunc(func() {
		cancel()
		<-done
		if err := m.Close(); err != nil {
			w.tb.Error("close:", err)
		}
	})
	w.tb.Cleanup(p.stop)
	return p
}

// start opens n members that know the first.
func (w *world) start(n int) []*peer {
	w.tb.Helper()
	var peers []*peer
	for i := range n {
		p := w.open(w.config())
		if i > 0 {
			p.AddSeeds(peers[0].Seeds())
		}
		peers = append(peers, p)
	}
	return peers
}

// until waits for a condition on the peer's members.
func (p *peer) until(tb testing.TB, what string, ok func([]mesh.Member) bool) time.Duration {
	tb.Helper()
	changed := p.Watch()
	begin := time.Now()
	limit := time.NewTimer(2 * time.Minute)
	defer limit.Stop()
	for {
		if ok(p.Members()) {
			return time.Since(begin)
		}
		select {
		case <-changed:
		case <-limit.C:
			tb.Fatalf("%s: not %s: %+v", p.config.Name, what, p.Members())
		}
	}
}

// untilAlive waits until the peer sees n peers alive.
func (p *peer) untilAlive(tb testing.TB, n int) time.Duration {
	tb.Helper()
	return p.until(tb, fmt.Sprintf("%d alive", n), func(all []mesh.Member) bool { return alive(all) == n })
}

func alive(all []mesh.Member) (n int) {
	for _, m := range all {
		if m.State == mesh.StateAlive {
			n++
		}
	}
	return n
}

func (p *peer) state(id mesh.PeerID) mesh.State {
	for _, m := range p.Members() {
		if m.ID == id {
			return m.State
		}
	}
	return ""
}

// echo answers each stream with what it sends.
func (p *peer) echo(kind mesh.Kind) {
	l := p.Listen(kind)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
}

// say sends a word over a fresh stream and returns what comes back.
func say(ctx context.Context, from *peer, to mesh.PeerID, kind mesh.Kind, word string) (string, error) {
	c, err := from.Dial(ctx, to, kind)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if _, err := io.WriteString(c, word); err != nil {
		return "", err
	}
	if err := c.(mesh.HalfCloser).CloseWrite(); err != nil {
		return "", err
	}
	back, err := io.ReadAll(c)
	return string(back), err
}

func newIdentity(tb testing.TB) *mesh.Identity {
	tb.Helper()
	id, err := mesh.NewIdentity(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return id
}
