//go:build unix

package supervisor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what a supervisor keeps open for others.
const (
	maxEntrances   = 1024 // listeners that it made, and as many that it serves
	maxConnections = 2048 // from all listeners that it serves
	maxFrom        = 128  // bytes of a listener's name

	dialTimeout = 10 * time.Second
)

// A network keeps the listeners inside that a supervisor made, and those
// outside that it was passed. Both outlive the daemon: connections between
// partitions of one computer need none.
type network struct {
	dial  func(address string, timeout time.Duration) (net.Conn, error)
	slots chan struct{} // one for each connection under way

	mu        sync.Mutex
	listening map[string]*net.TCPListener
	serving   map[Entrance]*net.TCPListener
}

func newNetwork(dial func(string, time.Duration) (net.Conn, error)) *network {
	return &network{
		dial: dial, slots: make(chan struct{}, maxConnections),
		listening: make(map[string]*net.TCPListener), serving: make(map[Entrance]*net.TCPListener),
	}
}

// connect opens a connection to a service inside.
func (n *network) connect(address string) (*net.TCPConn, error) {
	if err := validAddress(address); err != nil {
		return nil, err
	}
	c, err := n.dial(address, dialTimeout)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, plain(err))
	}
	return c.(*net.TCPConn), nil
}

// listen listens at an address inside, or finds the listener that is there.
func (n *network) listen(address string) (*net.TCPListener, error) {
	if err := validAddress(address); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if l, ok := n.listening[address]; ok {
		return l, nil
	}
	if len(n.listening) >= maxEntrances {
		return nil, fmt.Errorf("listen at %s: the partition has %d listeners already", address, maxEntrances)
	}
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address)))
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", address, plain(err))
	}
	n.listening[address] = l
	return l, nil
}

// unlisten closes a listener inside.
func (n *network) unlisten(address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l, ok := n.listening[address]; ok {
		_ = l.Close()
		delete(n.listening, address)
	}
}

// serve brings what connects at l to e's address inside. A listener of the
// same name is replaced.
func (n *network) serve(e Entrance, l *net.TCPListener) error {
	err := validAddress(e.Address)
	if err == nil && (e.From == "" || len(e.From) > maxFrom) {
		err = fmt.Errorf("serve %s: a listener's name has 1 to %d bytes", e.Address, maxFrom)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	old := n.serving[e]
	if err == nil && old == nil && len(n.serving) >= maxEntrances {
		err = fmt.Errorf("serve %s: the partition serves %d listeners already", e.Address, maxEntrances)
	}
	if err != nil {
		return errors.Join(err, l.Close())
	}
	if old != nil {
		_ = old.Close()
	}
	n.serving[e] = l
	go n.accept(e, l)
	return nil
}

// unserve closes a listener outside.
func (n *network) unserve(e Entrance) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l, ok := n.serving[e]; ok {
		_ = l.Close()
		delete(n.serving, e)
	}
}

// list says what is open.
func (n *network) list() Network {
	n.mu.Lock()
	defer n.mu.Unlock()
	var w Network
	for a := range n.listening {
		w.Listening = append(w.Listening, a)
	}
	for e := range n.serving {
		w.Serving = append(w.Serving, e)
	}
	slices.Sort(w.Listening)
	slices.SortFunc(w.Serving, func(a, b Entrance) int {
		return strings.Compare(a.From+" "+a.Address, b.From+" "+b.Address)
	})
	return w
}

// accept takes connections until the listener is closed.
func (n *network) accept(e Entrance, l *net.TCPListener) {
	for {
		c, err := l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, perhaps: let others finish
			await(nil, 100*time.Millisecond)
			continue
		}
		select {
		case n.slots <- struct{}{}:
			go func() {
				defer func() { <-n.slots }()
				n.carry(c, e.Address)
			}()
		default:
			reset(c)
		}
	}
}

// carry brings one connection in. The kernel copies the bytes (splice(2)).
func (n *network) carry(c *net.TCPConn, address string) {
	inside, err := n.connect(address)
	if err != nil {
		reset(c)
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		flow(inside, c)
	}()
	flow(c, inside)
	<-done
	_ = c.Close()
	_ = inside.Close()
}

// flow copies until from ends, and passes that on. A failure ends both.
func flow(to, from *net.TCPConn) {
	_, err := io.Copy(to, from)
	if err == nil {
		err = to.CloseWrite()
	}
	if err != nil {
		reset(to)
		reset(from)
	}
}

// reset closes a connection so that the other end gets an error.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// validAddress lets nothing pass but a port of an address of the loopback.
func validAddress(s string) error {
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		return fmt.Errorf("address %q: %w", s, err)
	}
	if !a.Addr().IsLoopback() || a.Port() == 0 || a.String() != s {
		return fmt.Errorf("address %q: want a port of an address in 127.0.0.0/8", s)
	}
	return nil
}
