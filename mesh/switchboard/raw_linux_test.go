//go:build amd64 || arm64

package switchboard

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

func TestRaw(t *testing.T) {
	for _, tc := range []struct{ from, to, sees string }{
		{"127.0.0.1", "127.0.0.1", "127.0.0.1"},
		{"::1", "::1", "::1"},
		{"::", "127.0.0.1", "127.0.0.1"},
		{"::", "::1", "::1"},
	} {
		t.Run(tc.from+" to "+tc.to, func(t *testing.T) {
			a, b := socketAt(t, tc.from), socketAt(t, tc.to)
			to := b.LocalAddr().(*net.UDPAddr)
			sent := [][]byte{[]byte("one"), bytes.Repeat([]byte("2"), 1200), {3}}
			for _, p := range sent {
				if n, _, err := a.WriteMsgUDP(p, nil, to); n != len(p) || err != nil {
					t.Fatal(n, err)
				}
			}
			if canSegment { // two packets in one write
				if _, _, err := a.WriteMsgUDP([]byte("fourfive"), segmentControl(nil, 4), to); err != nil {
					t.Fatal(err)
				}
				sent = append(sent, []byte("four"), []byte("five"))
			}
			for len(sent) > 0 {
				ms := buffers(batch)
				n, err := b.read(ms, 0)
				if err != nil || n > len(sent) {
					t.Fatal(n, err)
				}
				for i := range n {
					from := ms[i].Addr.(*net.UDPAddr)
					if got := ms[i].Buffers[0][:ms[i].N]; !bytes.Equal(got, sent[i]) {
						t.Errorf("got %q, want %q", got, sent[i])
					}
					if want := a.LocalAddr().(*net.UDPAddr).Port; from.Port != want || !from.IP.Equal(net.ParseIP(tc.sees)) {
						t.Errorf("came from %v, want %s port %d", from, tc.sees, want)
					}
				}
				sent = sent[n:]
			}
		})
	}
}

func TestRawErrors(t *testing.T) {
	s := socketAt(t, "127.0.0.1")
	to := s.LocalAddr().(*net.UDPAddr)
	if _, _, err := s.WriteMsgUDP(make([]byte, 1<<17), nil, to); !errors.Is(err, unix.EMSGSIZE) {
		t.Errorf("a packet of 128 KiB: %v", err)
	}
	if _, _, err := s.WriteMsgUDP([]byte{1}, nil, &net.UDPAddr{IP: net.IPv6loopback, Port: to.Port}); err == nil {
		t.Error("an IPv4 socket wrote to an IPv6 address")
	}
	if _, _, err := s.WriteMsgUDP([]byte{1}, nil, &net.UDPAddr{IP: net.IP{1, 2, 3}, Port: to.Port}); err == nil {
		t.Error("wrote to an address of three bytes")
	}
	if err := s.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.read(buffers(1), 0); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read after its deadline: %v", err)
	}
	if err := s.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	read := make(chan error)
	go func() {
		_, err := s.read(buffers(1), 0)
		read <- err
	}()
	_ = s.Close()
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("read while it is closed: %v", err)
	}
	if _, _, err := s.WriteMsgUDP([]byte{1}, nil, to); !errors.Is(err, net.ErrClosed) {
		t.Errorf("wrote to a closed socket: %v", err)
	}
}

// socketAt returns a socket that is read and written raw.
func socketAt(t *testing.T, ip string) *batched {
	t.Helper()
	u, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(ip)})
	if err != nil {
		t.Skipf("skipped: no address %s here: %v", ip, err)
	}
	t.Cleanup(func() { _ = u.Close() })
	s := newBatched(u, New(u))
	if s.raw == nil {
		t.Fatal("the socket cannot be used raw")
	}
	return s
}

func buffers(n int) []ipv4.Message {
	ms := make([]ipv4.Message, n)
	for i := range ms {
		ms[i].Buffers = [][]byte{make([]byte, 1500)}
	}
	return ms
}

func BenchmarkWrite(b *testing.B) {
	u, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = u.Close() }()
	raw, packet, to := newBatched(u, New(u)), make([]byte, 1200), u.LocalAddr().(*net.UDPAddr)
	for _, way := range []interface {
		WriteMsgUDP(b, oob []byte, to *net.UDPAddr) (int, int, error)
	}{u, raw} {
		b.Run(fmt.Sprintf("%T", way), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := way.WriteMsgUDP(packet, nil, to); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
