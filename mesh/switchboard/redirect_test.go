package switchboard_test

import (
	"net"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh/switchboard"
)

// What is sent to the address of a peer that moved goes where it is now, until
// it is back.
func TestRedirect(t *testing.T) {
	open := func() *net.UDPConn {
		t.Helper()
		u, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = u.Close() })
		return u
	}
	own, before, after := open(), open(), open()
	at := func(u *net.UDPConn) *net.UDPAddr { return u.LocalAddr().(*net.UDPAddr) }
	b := switchboard.New(own)
	for _, step := range []struct{ to, heard *net.UDPConn }{{before, before}, {after, after}, {before, before}} {
		b.Redirect(at(before).AddrPort(), at(step.to).AddrPort())
		socket := b.Socket().(interface {
			WriteMsgUDP(b, oob []byte, to *net.UDPAddr) (n, oobn int, err error)
		})
		if _, _, err := socket.WriteMsgUDP([]byte("word"), nil, at(before)); err != nil {
			t.Fatal(err)
		}
		_ = step.heard.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := step.heard.Read(make([]byte, 10)); err != nil || n != 4 {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
}
