package lan

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
)

// Port is the UDP port that questions go to, Group the multicast group.
const Port = 7520

// Group is in the scope of one organisation (RFC 2365); packets to it are
// sent with a hop limit of 1, so they stay on the local network.
var Group = netip.MustParseAddr("239.255.75.27")

const (
	// interfacesEvery is how often new interfaces are looked for.
	interfacesEvery = 30 * time.Second
	// answersPerSecond bounds what can be made of questions.
	answersPerSecond = 20
	// jitter spreads the answers of many peers.
	jitter = 50 * time.Millisecond
	// askEvery is how often a question is repeated: packets get lost.
	askEvery = 300 * time.Millisecond
	// remembered is how many questions are known to be answered already: they
	// come once for each interface, and again.
	remembered = 64
	maxFound   = 64
)

// A Config says what an answering peer says.
type Config struct {
	// Digests are those of the mesh's CAs, the present one first: it may be
	// replaced while this runs, and who looks may know a former one.
	Digests func() [][32]byte
	Port    func() uint16 // of the mesh
	// Open returns the name of the mesh if it is an open one, and whether it
	// is.
	Open  func() (name string, open bool)
	Clock func() time.Time
	Log   *slog.Logger
}

// Answer answers questions until ctx is done, then returns nil. Where nothing
// can be heard, for want of an interface or of the port, it says so once and
// tries again.
func Answer(ctx context.Context, c Config) error {
	complained := false
	for {
		err := c.answer(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if !complained {
			complained = true
			c.Log.Info("this peer cannot be found on the local network by multicast", "err", err)
		}
		timer := time.NewTimer(interfacesEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

func (c Config) answer(ctx context.Context) error {
	// Several peers of one computer hear the same port.
	listen := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		return errors.Join(raw.Control(func(fd uintptr) {
			err = shareAddress(fd)
		}), err)
	}}
	socket, err := listen.ListenPacket(ctx, "udp4", fmt.Sprintf("%s:%d", Group, Port))
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = socket.Close() })()
	defer func() { _ = socket.Close() }()
	p := ipv4.NewPacketConn(socket)
	if err := p.SetControlMessage(ipv4.FlagDst, true); err != nil {
		return err
	}
	following, done := context.WithCancel(ctx)
	defer done()
	go c.follow(following, p)
	rate := bucket{left: answersPerSecond}
	var answered [][nonceSize]byte
	buffer := make([]byte, frameSize+1)
	for {
		n, to, from, err := p.ReadFrom(buffer)
		if err != nil {
			return err
		}
		if to == nil || !to.Dst.IsMulticast() {
			continue // multicast stays on the local network, this may have come from anywhere
		}
		q, err := parseQuestion(buffer[:n])
		if err != nil || slices.Contains(answered, q.nonce) {
			continue
		}
		reply := c.reply(q)
		if reply == nil || !rate.take(c.Clock()) {
			continue
		}
		if answered = append(answered, q.nonce); len(answered) > remembered {
			answered = answered[1:]
		}
		time.AfterFunc(mathrand.N(jitter), func() { _, _ = socket.WriteTo(reply, from) }) // who did not hear it asks again
	}
}

// follow joins the group on every interface, also on those that come later.
func (c Config) follow(ctx context.Context, p *ipv4.PacketConn) {
	tick := time.NewTicker(interfacesEvery)
	defer tick.Stop()
	for {
		for _, i := range interfaces() {
			_ = p.JoinGroup(&i, &net.UDPAddr{IP: Group.AsSlice()}) // it is joined already, as a rule
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// interfaces lists those on which others may be.
func interfaces() []net.Interface {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	const wanted = net.FlagUp | net.FlagMulticast
	return slices.DeleteFunc(all, func(i net.Interface) bool {
		return i.Flags&wanted != wanted || i.Flags&net.FlagLoopback != 0
	})
}

// A Found is a peer that answered.
type Found struct {
	Address netip.AddrPort // of the mesh, there
	Digest  [32]byte       // of the mesh's CA: the one asked for, or what an open mesh says
	Name    string         // of an open mesh
}

// Find asks on every interface for peers of the mesh with that digest, or, if
// it is nil, of open meshes, and collects the answers until ctx is done. It
// returns early once there is one, if the digest is known: one door is enough.
func Find(ctx context.Context, digest *[32]byte) ([]Found, error) {
	q := question{digest: digest}
	if _, err := rand.Read(q.nonce[:]); err != nil {
		return nil, err
	}
	socket, err := new(net.ListenConfig).ListenPacket(ctx, "udp4", ":0")
	if err != nil {
		return nil, fmt.Errorf("look for a mesh on the local network: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = socket.Close() })()
	defer func() { _ = socket.Close() }()
	if len(interfaces()) == 0 {
		return nil, errors.New("look for a mesh on the local network: this computer has no network interface that is up and can multicast")
	}
	asking, done := context.WithCancel(ctx)
	defer done()
	go ask(asking, ipv4.NewPacketConn(socket), q.encode())
	var found []Found
	buffer := make([]byte, frameSize+1)
	for len(found) < maxFound {
		n, from, err := socket.ReadFrom(buffer)
		if err != nil {
			break // ctx is done
		}
		port, of, name, err := q.answer(buffer[:n])
		source, ok := from.(*net.UDPAddr)
		if err != nil || !ok {
			continue
		}
		f := Found{netip.AddrPortFrom(source.AddrPort().Addr().Unmap(), port), of, name}
		if !slices.Contains(found, f) {
			found = append(found, f)
		}
		if digest != nil {
			break
		}
	}
	return found, nil
}

// ask sends a question on every interface, again and again.
func ask(ctx context.Context, p *ipv4.PacketConn, question []byte) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		for _, i := range interfaces() {
			if err := p.SetMulticastInterface(&i); err == nil {
				_, _ = p.WriteTo(question, nil, &net.UDPAddr{IP: Group.AsSlice(), Port: Port}) // another interface may do
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// A bucket lets answersPerSecond events through in each second.
type bucket struct {
	until time.Time
	left  int
}

func (b *bucket) take(now time.Time) bool {
	if now.After(b.until) {
		b.until, b.left = now.Add(time.Second), answersPerSecond
	}
	b.left--
	return b.left >= 0
}

// reply is the answer to a question, or nil.
func (c Config) reply(q asked) []byte {
	digests := c.Digests()
	for _, digest := range digests {
		if q.forMesh(digest) {
			return q.yes(digest, c.Port())
		}
	}
	if name, open := c.Open(); open && q.proof == nil && len(digests) > 0 {
		return q.open(digests[0], c.Port(), name)
	}
	return nil
}
