package switchboard_test

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh/switchboard"
)

// An end is a board on the loopback whose ordinary packets go to a channel.
type end struct {
	*switchboard.Board
	addr  *net.UDPAddr
	plain chan string
}

func newEnd(t *testing.T) *end {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	e := &end{switchboard.New(only{socket}), socket.LocalAddr().(*net.UDPAddr), make(chan string, 16)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 2000)
		for {
			n, _, err := e.Socket().ReadFrom(b)
			if err != nil {
				return
			}
			e.plain <- string(b[:n])
		}
	}()
	t.Cleanup(func() {
		_ = socket.Close()
		<-done
	})
	return e
}

// only hides that a socket is one of the system.
type only struct{ net.PacketConn }

// A packet between virtual addresses takes the way that is set at the moment,
// also through another board, and one that is no envelope passes.
func TestWays(t *testing.T) {
	a, middle, b := newEnd(t), newEnd(t), newEnd(t)
	ip := netip.MustParseAddrPort("[fd00::b]:1")
	fromA := &net.UDPAddr{IP: net.ParseIP("fd00::a"), Port: 1}
	heard := make(chan bool, 4)
	b.Plug(7, switchboard.Port{From: fromA, Heard: func() { heard <- true }})
	middle.Plug(9, switchboard.Port{Next: func(n int) (switchboard.Hop, bool) {
		return switchboard.Hop{Carrier: (*switchboard.At)(b.addr), Label: 7}, n < 100
	}})
	to := net.UDPAddrFromAddrPort(ip)
	buffer := make([]byte, 2000)
	for _, hop := range []switchboard.Hop{
		{Carrier: (*switchboard.At)(b.addr), Label: 7},
		{Carrier: (*switchboard.At)(middle.addr), Label: 9},
	} {
		a.Route(ip, hop)
		if _, err := a.Virtual().WriteTo([]byte("hello"), to); err != nil {
			t.Fatal(err)
		}
		n, from, err := b.Virtual().ReadFrom(buffer)
		if err != nil || string(buffer[:n]) != "hello" || from.String() != fromA.String() {
			t.Errorf("got %q from %v, %v", buffer[:n], from, err)
		}
		<-heard
	}
	a.Unroute(ip)
	if n, err := a.Virtual().WriteTo([]byte("nowhere"), to); n != 7 || err != nil {
		t.Errorf("without a way: %d, %v", n, err)
	}
	for _, packet := range []string{
		"\x02", "\x02\x00\x00\x00\x00\x00\x00\x00\x07", // cut off
		"\x02\x00\x00\x00\x00\x00\x00\x00\x08x", // no such label
		"\x05\x00\x00\x00\x00\x00\x00\x00\x07x", // no such kind
		"\x40QUIC",
	} {
		if _, err := a.Socket().WriteTo([]byte(packet), b.addr); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-b.plain; got != "\x40QUIC" {
		t.Errorf("passed: %q", got)
	}
}

func TestVirtualDeadlines(t *testing.T) {
	v := newEnd(t).Virtual()
	for range 3 {
		if err := v.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := v.ReadFrom(nil); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("past: %v", err)
		}
	}
	_ = v.SetReadDeadline(time.Time{})
	go func() { _ = v.SetReadDeadline(time.Now().Add(time.Millisecond)) }()
	if _, _, err := v.ReadFrom(nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("later: %v", err)
	}
	_ = v.SetReadDeadline(time.Time{})
	go func() { _ = v.Close() }()
	if _, _, err := v.ReadFrom(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := v.WriteTo(nil, &net.UDPAddr{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write to closed: %v", err)
	}
}

// Whatever a stranger sends, only an envelope under a known label does
// anything, and nothing of it changes.
func FuzzTake(f *testing.F) {
	f.Add([]byte{})
	f.Add(append(switchboard.Header(nil, switchboard.Carry, 7), "packet"...))
	f.Add(append(switchboard.Header(nil, switchboard.Signal, 7), "signal"...))
	f.Add(append(switchboard.Header(nil, switchboard.Carry, 8), "forward"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		socket := only{}
		board := switchboard.New(socket)
		signals, sent := 0, &sink{}
		board.OnSignal = func(switchboard.Label, []byte, *net.UDPAddr) { signals++ }
		board.Plug(7, switchboard.Port{From: &net.UDPAddr{}, Heard: func() {}})
		board.Plug(8, switchboard.Port{Next: func(int) (switchboard.Hop, bool) {
			return switchboard.Hop{Carrier: sent, Label: 9}, true
		}})
		given := bytes.Clone(b)
		board.Take(b)
		if len(given) <= switchboard.HeaderSize && (signals > 0 || sent.got != nil) {
			t.Errorf("%x does something", given)
		}
		if sent.got != nil && !bytes.Equal(sent.got[switchboard.HeaderSize:], given[switchboard.HeaderSize:]) {
			t.Errorf("%x became %x", given, sent.got)
		}
	})
}

// A sink is a carrier that keeps the last envelope.
type sink struct{ got []byte }

func (*sink) Address() *net.UDPAddr { return nil }

func (s *sink) Send(b []byte) { s.got = bytes.Clone(b) }
