package daemon

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"

	"github.com/slapmesh/slapmesh/consensus/voters"
	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/client"
)

// A world is whole peers on a simulated network, in virtual time. Only their
// state folders are real.
type world struct {
	t     *testing.T
	dir   string
	net   *network
	begin time.Time
	hosts byte // addresses given out

	mu    sync.Mutex
	peers []*testPeer
}

// inBubble runs f in virtual time.
func inBubble(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, dir: t.TempDir(), net: &network{groups: map[string]int{}}, begin: time.Now()}
		defer func() { time.Sleep(2 * time.Minute) }() // for the last probe of memberlist, and idle connections
		defer w.stop()
		f(w)
	})
}

// logf says when, in the world's time, something was so.
func (w *world) logf(format string, args ...any) {
	w.t.Helper()
	w.t.Logf("%9s  %s", time.Since(w.begin).Round(time.Millisecond), fmt.Sprintf(format, args...))
}

// eventually waits until ok, and returns how long that took.
func (w *world) eventually(within time.Duration, what string, ok func() bool) time.Duration {
	w.t.Helper()
	begin := time.Now()
	for !ok() {
		if time.Since(begin) > within {
			w.t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(max(50*time.Millisecond, within/400))
	}
	return time.Since(begin)
}

// A network delivers between addresses of one group only.
type network struct {
	simnet.PerfectRouter
	mu     sync.Mutex
	groups map[string]int
}

func (n *network) SendPacket(p simnet.Packet) error {
	n.mu.Lock()
	same := n.groups[p.From.String()] == n.groups[p.To.String()]
	n.mu.Unlock()
	if same {
		_ = n.PerfectRouter.SendPacket(p) // like UDP: nobody hears of it
	}
	return nil
}

func (n *network) move(address string, group int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.groups[address] = group
}

// socket returns one at an address that was never used.
func (w *world) socket() *simnet.SimConn {
	w.hosts++
	return w.socketAt(&net.UDPAddr{IP: net.IPv4(10, 0, 0, w.hosts).To4(), Port: mesh.DefaultPort})
}

func (w *world) socketAt(addr *net.UDPAddr) *simnet.SimConn {
	link := &simnet.SimulatedLink{Latency: 2 * time.Millisecond, UploadPacket: w.net}
	s := simnet.NewBlockingSimConn(addr, link)
	link.Start() // before anything can arrive
	w.net.AddNode(addr, link)
	w.t.Cleanup(func() { _ = link.Close() })
	return s
}

// A testPeer is one peer, its computer and its state folder. It may run, end
// and run again.
type testPeer struct {
	w        *world
	name     string
	host     *memHost
	settings Settings
	config   Config

	mu     sync.Mutex
	daemon *Daemon // the one that runs, or ran last
	client *client.Client
	up     bool
	end    func() error // ends the daemon and waits for it
}

// newPeer makes a peer that is of no mesh yet.
func (w *world) newPeer(partitions int) *testPeer {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := &testPeer{w: w, name: fmt.Sprintf("p%d", len(w.peers)), host: newMemHost()}
	p.settings = Settings{Name: p.name, Partitions: &partitions}
	p.config = Config{
		Dir: filepath.Join(w.dir, p.name), Clock: time.Now, Host: p.host,
		Log: slog.New(slog.DiscardHandler), Voters: voters.Policy{Grace: 20 * time.Second},
	}
	if os.Getenv("SLAPD_TEST_LOG") != "" {
		p.config.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("on", p.name)
	}
	w.peers = append(w.peers, p)
	return p
}

// found makes the first peer of a new mesh, and runs it.
func (w *world) found(opt FoundOptions, partitions int) *testPeer {
	w.t.Helper()
	p := w.newPeer(partitions)
	opt.Settings = p.settings
	if err := Found(p.config, opt); err != nil {
		w.t.Fatal(err)
	}
	p.run()
	return p
}

// join has a new peer admitted through another one, and runs it.
func (w *world) join(through *testPeer, token string, partitions int) *testPeer {
	w.t.Helper()
	p := w.newPeer(partitions)
	if err := p.join(through, token); err != nil {
		w.t.Fatalf("%s joins through %s: %v", p.name, through.name, err)
	}
	p.run()
	w.logf("%s has joined through %s", p.name, through.name)
	return p
}

func (p *testPeer) join(through *testPeer, token string) error {
	socket := p.w.socket()
	defer func() { _ = socket.Close() }()
	result, err := Join(p.w.t.Context(), p.config, JoinOptions{
		Settings: p.settings, Address: through.address(), Token: token, Socket: socket,
	})
	if err != nil {
		return err
	}
	p.config.Seeds = result.Seeds
	return nil
}

// run brings the peer up at an address that it never had.
func (p *testPeer) run() {
	p.w.t.Helper()
	p.runOn(p.w.socket())
}

// runOn brings the peer up on a socket.
func (p *testPeer) runOn(socket net.PacketConn) {
	p.w.t.Helper()
	control, api := newPipeListener(), newPipeListener()
	cfg := p.config
	cfg.Socket, cfg.Control, cfg.API = socket, control, api
	p.config.Seeds = nil // it remembers them
	d, err := Open(p.w.t.Context(), cfg, Settings{})
	if err != nil {
		p.w.t.Fatalf("%s: %v", p.name, err)
	}
	c, err := client.New(client.Config{Dial: control.dial})
	if err != nil {
		p.w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.w.t.Context()))
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.daemon, p.client, p.up = d, c, true
	p.end = func() error {
		cancel()
		err := <-done
		control.kill()
		api.kill()
		return cmp.Or(err, d.Close(), c.Close())
	}
}

// stop ends the daemon as a signal does.
func (p *testPeer) stop() {
	p.w.t.Helper()
	if err := p.ended(); err != nil {
		p.w.t.Errorf("%s ends: %v", p.name, err)
	}
}

// ended ends the daemon, if one runs, and says how it went.
func (p *testPeer) ended() error {
	p.mu.Lock()
	p.up = false
	end := p.end
	p.end = nil
	p.mu.Unlock()
	if end == nil {
		return nil
	}
	return end()
}

// kill ends the daemon without a word: nothing that it still says is heard.
func (p *testPeer) kill() {
	p.w.t.Helper()
	p.w.net.move(p.address(), -1)
	p.mu.Lock()
	control, api := p.daemon.control.(*pipeListener), p.daemon.api.(*pipeListener)
	p.mu.Unlock()
	control.kill()
	api.kill()
	_ = p.ended() // its doors were torn off: what it says of that is of no interest
}

func (w *world) stop() {
	var wg sync.WaitGroup
	for _, p := range w.peers {
		wg.Go(p.stop)
	}
	wg.Wait()
}

// running returns the daemon that runs, and whether one does.
func (p *testPeer) running() (*Daemon, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.daemon, p.up
}

func (p *testPeer) address() string {
	d, _ := p.running()
	return d.mesh.Addr().String()
}

func (p *testPeer) id() mesh.PeerID {
	d, _ := p.running()
	return d.mesh.Self()
}

func (p *testPeer) view() *ledger.State {
	d, _ := p.running()
	return d.books.View()
}

// ask returns a client on the control socket.
func (p *testPeer) ask() *client.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.client
}

// bearer returns a client on the local API.
func (p *testPeer) bearer(token string) *client.Client {
	p.w.t.Helper()
	d, _ := p.running()
	c, err := client.New(client.Config{Dial: d.api.(*pipeListener).dial, Token: token})
	if err != nil {
		p.w.t.Fatal(err)
	}
	p.w.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (p *testPeer) status() protocol.Status {
	p.w.t.Helper()
	s, err := p.ask().Status(p.w.t.Context())
	if err != nil {
		p.w.t.Fatalf("status of %s: %v", p.name, err)
	}
	return s
}

// token makes a token through the peer.
func (p *testPeer) token(in protocol.TokenInput) string {
	p.w.t.Helper()
	t, err := p.ask().CreateToken(p.w.t.Context(), in)
	if err != nil {
		p.w.t.Fatalf("token through %s: %v", p.name, err)
	}
	return t.Token
}

// alive returns the peers that run.
func (w *world) alive() (out []*testPeer) {
	for _, p := range w.peers {
		if _, up := p.running(); up {
			out = append(out, p)
		}
	}
	return out
}

// leader waits for one peer among these to lead, in the eyes of all of them.
func (w *world) leader(among []*testPeer) (leader *testPeer) {
	w.t.Helper()
	w.eventually(time.Minute, "one leader", func() bool {
		leader = nil
		n := 0
		for _, p := range among {
			if d, up := p.running(); up && d.books.Leads() {
				leader = p
				n++
			}
		}
		return n == 1
	})
	return leader
}
