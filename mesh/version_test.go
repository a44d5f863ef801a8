package mesh_test

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"

	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/frame"
)

// A door tells who asks in another version's way which of the two is to be
// upgraded, and asks no ledger.
func TestVersionAtTheDoor(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		at := w.start(1)[0]
		socket := w.socket()
		transport := &quic.Transport{Conn: socket}
		defer func() { _ = errors.Join(transport.Close(), socket.Close()) }()
		for _, tc := range []struct {
			format uint64
			want   string
		}{
			{0, "version too old: it asks in format 0, the peer reads from 1 on: upgrade slapd here"},
			{9, "version too new: it asks in format 9, the peer reads up to 2: upgrade slapd there, or join through another peer"},
		} {
			c, err := transport.Dial(context.Background(), at.Addr(), mesh.DoorConfig(newIdentity(t), w.ca.Digest()), nil)
			if err != nil {
				t.Fatal(err)
			}
			s, err := c.OpenStreamSync(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var reply struct {
				Refused string `cbor:"3,keyasint"`
			}
			if err := frame.Write(s, map[int]uint64{1: tc.format}); err != nil {
				t.Fatal(err)
			}
			if err := frame.Read(s, 1<<16, &reply); err != nil || reply.Refused != tc.want {
				t.Errorf("format %d: %q, %v", tc.format, reply.Refused, err)
			}
			_ = c.CloseWithError(0, "")
		}
		if len(w.admits) != 0 {
			t.Errorf("the ledger was asked: %+v", w.admits)
		}
	})
}

// Who joins is told the same of a door of another version.
func TestVersionOfTheDoor(t *testing.T) {
	for _, tc := range []struct {
		format uint64
		want   []string
	}{
		{0, []string{"version too new", "answers in format 0", "upgrade slapd there"}},
		{2, []string{"version too old", "answers in format 2", "upgrade slapd here"}},
	} {
		w := newWorld(t)
		door, err := quic.ListenAddr("127.0.0.1:0", &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{w.shown(t)}, NextProtos: []string{"slapd-join/1"},
			ClientAuth: tls.RequireAnyClientCert,
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			c, err := door.Accept(context.Background())
			if err != nil {
				return
			}
			s, err := c.AcceptStream(context.Background())
			if err != nil {
				return
			}
			_ = frame.Write(s, map[int]uint64{1: tc.format})
			_ = s.Close()
		}()
		_, err = w.examine(door.Addr().String(), nil)
		for _, want := range tc.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("format %d: %v, want %q", tc.format, err, want)
			}
		}
		_ = door.Close()
	}
}

// shown is what a peer of the mesh shows to newcomers.
func (w *world) shown(t *testing.T) tls.Certificate {
	t.Helper()
	id := newIdentity(t)
	c := w.credentials(id)
	return tls.Certificate{Certificate: [][]byte{c.CertificateDER, c.CADER}, PrivateKey: mesh.PrivateKey(id)}
}
