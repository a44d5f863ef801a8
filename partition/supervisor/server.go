//go:build unix

package supervisor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// maxCalls bounds the calls under way at once.
const maxCalls = 64

// A server answers calls on the supervisor's socket.
type server struct {
	root    string
	machine *machine
	host    *inside
	board   *board
	allowed func(*net.UnixConn) error // who may call
	places  chan struct{}             // one for each call under way
	network *network
	calls   sync.WaitGroup
}

// serve takes calls until the listener is closed.
func (s *server) serve(l *net.UnixListener) {
	for {
		conn, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, perhaps: let others finish
			await(nil, 100*time.Millisecond)
			continue
		}
		s.places <- struct{}{}
		s.calls.Go(func() {
			defer func() { <-s.places }()
			defer func() { _ = conn.Close() }()
			if err := s.answer(conn); err != nil {
				_ = writeFrame(conn, reply{Error: err.Error()})
			}
		})
	}
}

// drained is closed when every call has been answered.
func (s *server) drained() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		s.calls.Wait()
		close(done)
	}()
	return done
}

// answer reads one call and does it.
func (s *server) answer(conn *net.UnixConn) error {
	if err := s.allowed(conn); err != nil {
		return err
	}
	_ = conn.SetReadDeadline(s.host.clock().Add(10 * time.Second))
	var r request
	passed, err := readDescriptor(conn, &r)
	if err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Time{})
	if r.Call == callServe {
		return s.serveListener(conn, r, passed)
	}
	if passed != nil {
		_ = passed.Close()
	}
	switch r.Call {
	case callApply:
		return s.apply(conn, r)
	case callStatus:
		st, _ := s.board.read()
		return writeFrame(conn, reply{Status: &st})
	case callWatch:
		return s.watch(conn)
	case callExec:
		return s.exec(conn, r)
	case callPack:
		return s.pack(conn)
	case callUnpack:
		return s.unpack(conn)
	case callStop:
		return s.stop(conn, r)
	case callDial:
		return s.dial(conn, r)
	case callListen:
		return s.listen(conn, r)
	case callUnlisten:
		s.network.unlisten(r.Address)
		return writeFrame(conn, reply{Done: true})
	case callUnserve:
		s.network.unserve(Entrance{r.From, r.Address})
		return writeFrame(conn, reply{Done: true})
	case callNetwork:
		w := s.network.list()
		return writeFrame(conn, reply{Network: &w})
	}
	return fmt.Errorf("call %q: %s (version %d)", r.Call, unknownCall, protocolVersion)
}

// dial passes a connection to a service inside out.
func (s *server) dial(conn *net.UnixConn, r request) error {
	if err := validAddress(r.Address); err != nil {
		return err
	}
	if r.UDP {
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(r.Address)))
		if err != nil {
			return err
		}
		return errors.Join(writeDescriptor(conn, reply{Done: true}, c), c.Close())
	}
	c, err := s.network.connect(r.Address)
	if err != nil {
		return err
	}
	return errors.Join(writeDescriptor(conn, reply{Done: true}, c), c.Close())
}

// listen passes what listens at an address inside out.
func (s *server) listen(conn *net.UnixConn, r request) error {
	if err := validAddress(r.Address); err != nil {
		return err
	}
	if r.UDP {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(r.Address)))
		if err != nil {
			return fmt.Errorf("listen at %s: %w", r.Address, plain(err))
		}
		return errors.Join(writeDescriptor(conn, reply{Done: true}, c), c.Close())
	}
	l, err := s.network.listen(r.Address)
	if err != nil {
		return err
	}
	return writeDescriptor(conn, reply{Done: true}, l)
}

// serveListener takes a listener from outside.
func (s *server) serveListener(conn *net.UnixConn, r request, passed *os.File) error {
	l, err := listenerOf(passed)
	if err != nil {
		return fmt.Errorf("serve %s: %w", r.Address, err)
	}
	if err := s.network.serve(Entrance{r.From, r.Address}, l); err != nil {
		return err
	}
	return writeFrame(conn, reply{Done: true})
}

func (s *server) apply(conn *net.UnixConn, r request) error {
	if r.Spec == nil {
		return errors.New("apply: no spec")
	}
	if err := r.Spec.Validate(s.root); err != nil {
		return err
	}
	applied := make(chan error, 1)
	s.machine.send(func() { applied <- s.machine.apply(*r.Spec) })
	select {
	case err := <-applied:
		if err != nil {
			return err
		}
		return writeFrame(conn, reply{Done: true})
	case <-s.machine.ended:
		return ErrStopping
	}
}

// watch sends the status now and whenever it changes, until the caller hangs
// up or the last status was sent.
func (s *server) watch(conn *net.UnixConn) error {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = conn.Read(make([]byte, 1)) // callers say nothing: this ends when they go
	}()
	for {
		st, changed := s.board.read()
		if err := writeFrame(conn, reply{Status: &st}); err != nil {
			return err
		}
		if st.Phase == PhaseStopped {
			return nil
		}
		select {
		case <-changed:
		case <-gone:
			return nil
		}
	}
}

// stop answers when all services have ended; then the supervisor exits.
func (s *server) stop(conn *net.UnixConn, r request) error {
	s.machine.send(func() { s.machine.stop(r.Grace) })
	<-s.machine.ended
	return writeFrame(conn, reply{Done: true})
}

// A board holds the status for whoever wants to read it. Writers never wait
// for readers.
type board struct {
	mu      sync.Mutex
	status  Status
	changed chan struct{} // closed at the next change
}

func newBoard() *board { return &board{changed: make(chan struct{})} }

func (b *board) write(s Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status = s
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *board) read() (Status, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status, b.changed
}
