package mesh

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/slapmesh/slapmesh/mesh/nat"
)

// maxTries is how many addresses of one name are tried.
const maxTries = 8

// otherTries is how long other addresses are waited for once one answered.
const otherTries = time.Second

// A Try is one address that was tried.
type Try struct {
	Address string
	Path    Path          // direct (UDP) or tcp
	After   time.Duration // until it answered
	Err     error         // why it did not, and what to do; nil if it did
}

// A Diagnosis is what was found out about joining, before anything was spent
// or changed.
type Diagnosis struct {
	Tries      []Try
	Address    string        // the one that answered first: to be joined through
	Path       Path          // how it did
	MeshName   string        // as the peer there says
	Ahead      time.Duration // our clock, of that of the mesh
	Local      string        // our own address, as this computer sees it; "" if it is not known
	Observed   string        // the same as the mesh sees it
	Knocked    bool          // the mesh tried to reach us from elsewhere
	Reached    bool          // and did
	Kind       nat.Kind      // of the NAT or firewall in between
	Invitation Invitation
}

// Translated reports whether there is a NAT between us and the mesh. It does
// not know where Local is not known.
func (d Diagnosis) Translated() bool { return d.Local != "" && d.Local != d.Observed }

// Examine finds out whether Join would succeed, and how. It changes nothing:
// no token is used. The error says what stands in the way, and what to do; the
// diagnosis holds what was found until then.
func Examine(ctx context.Context, c JoinConfig) (*Diagnosis, error) {
	digest, err := c.digest()
	if err != nil {
		return nil, err
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Socket == nil {
		s, err := Bind(":0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = s.Close() }()
		c.Socket = s
	}
	e := &examination{config: c, digest: digest, found: Diagnosis{Kind: nat.KindUnknown}, transport: &quic.Transport{Conn: c.Socket, ConnectionIDLength: 8}}
	defer func() { _ = e.transport.Close() }()
	if err := e.run(ctx); err != nil {
		return &e.found, fmt.Errorf("join %s: %w", c.Address, explain(err, c))
	}
	return &e.found, nil
}

type examination struct {
	config    JoinConfig
	digest    [32]byte
	transport *quic.Transport
	found     Diagnosis
}

func (e *examination) run(ctx context.Context) error {
	addresses, err := resolveAll(ctx, e.config.Address)
	if err != nil {
		return err
	}
	own, err := selfSigned(e.config.Identity, e.config.Clock())
	if err != nil {
		return err
	}
	conn, done := e.try(ctx, addresses, own)
	if conn == nil {
		return e.worst()
	}
	defer done()
	defer func() { _ = conn.CloseWithError(codeDoor, "done") }()
	return e.look(ctx, conn)
}

// A knocked is how one knock went.
type knocked struct {
	n     int // of the try
	conn  *quic.Conn
	done  func()
	after time.Duration
	err   error
}

// try knocks at all addresses at once, over TCP too where UDP stays silent,
// and returns the connection that was made first, or nil, and what ends what
// it runs on.
func (e *examination) try(ctx context.Context, addresses []netip.AddrPort, own tls.Certificate) (*quic.Conn, func()) {
	ctx, cancel := context.WithTimeout(ctx, e.config.Timeout)
	defer cancel()
	results := make(chan knocked)
	start := e.config.Clock()
	begin := func(a netip.AddrPort, over Path, knock func() (*quic.Conn, func(), error)) {
		n := len(e.found.Tries)
		e.found.Tries = append(e.found.Tries, Try{Address: a.String(), Path: over})
		go func() {
			conn, done, err := knock()
			results <- knocked{n, conn, done, e.config.Clock().Sub(start), err}
		}()
	}
	for _, a := range addresses {
		begin(a, PathDirect, func() (*quic.Conn, func(), error) {
			conn, err := e.knock(ctx, a, own)
			return conn, func() {}, err
		})
	}
	_, hasTCP := e.config.Socket.(*net.UDPConn) // a simulated network has none
	late := time.NewTimer(tcpKnockAfter)
	defer late.Stop()
	running := len(addresses)
	overTCP := func() {
		hasTCP = false // not twice
		for _, a := range addresses {
			running++
			begin(a, PathTCP, func() (*quic.Conn, func(), error) {
				c := e.config
				c.Address = a.String()
				_, conn, done, err := knockTCP(ctx, c, e.digest)
				return conn, done, err
			})
		}
	}
	var first *knocked
	for running > 0 {
		select {
		case <-late.C:
		case r := <-results:
			running--
			if first = e.note(r, first); first != nil && first.n == r.n {
				rest := time.AfterFunc(otherTries, cancel)
				defer rest.Stop()
			}
			if running > 0 {
				continue
			}
		}
		if first == nil && hasTCP && !e.heard() {
			overTCP()
		}
	}
	if first == nil {
		return nil, nil
	}
	return first.conn, first.done
}

// note keeps how a knock went, and returns the first that did well.
func (e *examination) note(r knocked, first *knocked) *knocked {
	t := &e.found.Tries[r.n]
	t.After, t.Err = r.after, r.err
	switch {
	case r.err != nil:
	case first == nil:
		e.found.Address, e.found.Path = t.Address, t.Path
		return &r
	default:
		_ = r.conn.CloseWithError(codeDoor, "another address was faster")
		r.done()
	}
	return first
}

// heard reports whether somebody answered, if not as wanted, so that it does
// not help to knock otherwise.
func (e *examination) heard() bool {
	return slices.ContainsFunc(e.found.Tries, func(t Try) bool { return t.Err != nil && rank(t.Err) < rankNobody })
}

// knock connects to one address, and says what is wrong if it cannot. Where
// nobody listens it does not wait.
func (e *examination) knock(ctx context.Context, a netip.AddrPort, own tls.Certificate) (*quic.Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	heard := make(chan echo, 1)
	if _, real := e.config.Socket.(*net.UDPConn); real {
		go func() {
			h := sound(ctx, a)
			if h == echoRefused || h == echoNoRoute {
				cancel(errNobody)
			}
			heard <- h
		}()
	} else {
		heard <- echoNone
	}
	_, conn, err := knockAt(ctx, e.config, e.digest, e.transport, own, net.UDPAddrFromAddrPort(a))
	if err == nil {
		return conn, nil
	}
	cancel(nil)
	return nil, explainTry(err, <-heard, a, e.config)
}

// errNobody ends a knock where nobody can answer.
var errNobody = errors.New("nobody listens")

// worst is the failure that says most of what to do.
func (e *examination) worst() error {
	errs := make([]error, 0, len(e.found.Tries))
	for _, t := range e.found.Tries {
		errs = append(errs, t.Err)
	}
	slices.SortStableFunc(errs, func(a, b error) int { return rank(a) - rank(b) })
	return errs[0]
}

// look asks what joining would bring, and notes what the answer shows.
func (e *examination) look(ctx context.Context, conn *quic.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, joinPatience)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = conn.CloseWithError(codeDoor, "given up") })()
	nonce := make([]byte, knockNonceSize)
	if _, err := rand.Read(nonce); err != nil {
		return err
	}
	e.config.nonce = nonce
	knocked := e.listen(ctx, nonce)
	sent := e.config.Clock()
	reply, err := ask(ctx, e.config, conn)
	if err != nil {
		return err
	}
	now := e.config.Clock()
	theirs := time.Unix(0, reply.Clock)
	e.found.Ahead = sent.Add(now.Sub(sent) / 2).Sub(theirs)
	e.found.MeshName, e.found.Observed = reply.MeshName, reply.Observed
	if e.found.Path == PathDirect { // of UDP nothing is known otherwise
		e.found.Local = localTowards(e.config.Socket, conn.RemoteAddr())
		if e.found.Knocked = reply.KnockedBack; e.found.Knocked {
			e.found.Reached = <-knocked
		}
		e.found.Kind = e.kind(ctx, reply.Others)
	}
	if reason := clockReason(now.Sub(theirs), theirs); reason != "" {
		return Refuse(reason)
	}
	if reply.Refused != "" {
		return Refuse(reply.Refused)
	}
	e.found.Invitation = Invitation{Role: reply.Role, Account: reply.Account, Uses: reply.Uses}
	if reply.Expires != 0 {
		e.found.Invitation.Expires = time.Unix(reply.Expires, 0)
	}
	return nil
}

// listen waits for the packet that knocks back, and tells whether it came. It
// begins before it is asked for.
func (e *examination) listen(ctx context.Context, nonce []byte) <-chan bool {
	came := make(chan bool, 1)
	if _, real := e.config.Socket.(*net.UDPConn); !real {
		came <- false
		return came
	}
	// The first call makes the transport keep packets that are not QUIC's, so
	// it must not come too late.
	begun := make(chan struct{})
	go func() {
		ctx, cancel := context.WithTimeout(ctx, knockPatience)
		defer cancel()
		buffer := make([]byte, 1+knockNonceSize)
		close(begun)
		for {
			n, _, err := e.transport.ReadNonQUICPacket(ctx, buffer)
			if err != nil {
				came <- false
				return
			}
			if buffer[0] == knockBack && string(buffer[1:n]) == string(nonce) {
				came <- true
				return
			}
		}
	}()
	<-begun
	return came
}

// localTowards is the address of the socket as a packet to to leaves this
// computer, or "".
func localTowards(socket net.PacketConn, to net.Addr) string {
	bound, ok := socket.LocalAddr().(*net.UDPAddr)
	if _, real := socket.(*net.UDPConn); !ok || !real {
		return ""
	}
	c, err := net.Dial("udp", to.String()) //nolint:noctx // nothing is sent
	if err != nil {
		return ""
	}
	defer func() { _ = c.Close() }()
	host, _, err := net.SplitHostPort(c.LocalAddr().String())
	if err != nil {
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(bound.Port))
}
