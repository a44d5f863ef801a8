package mesh_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/relay"
)

// BenchmarkPath measures one stream on each path, on the loopback, with both
// ends and the relay in this process: MB/s, and seconds of CPU for a Gbit.
func BenchmarkPath(b *testing.B) {
	for _, bench := range []struct {
		name string
		open func(b *testing.B) (from io.Writer, to io.Reader)
	}{
		{"quic-go", rawStream},
		{"direct", func(b *testing.B) (io.Writer, io.Reader) {
			b.Helper()
			from, to := benchPair(b)
			return pathStream(b, from, to, mesh.PathDirect)
		}},
		{"relayed", func(b *testing.B) (io.Writer, io.Reader) {
			b.Helper()
			w := newWorld(b)
			c := w.config()
			c.Relay = relay.Limits{Rate: 10 << 30}
			middle := w.open(c)
			var ends []*peer
			for range 2 {
				c := w.config()
				c.Advertise = []string{"127.0.0.1:1"} // nobody is there
				p := w.open(c)
				p.AddSeeds(middle.Seeds())
				ends = append(ends, p)
			}
			for _, p := range ends {
				p.untilAlive(b, 3)
			}
			return pathStream(b, ends[0], ends[1], mesh.PathRelayed)
		}},
		{"tcp", func(b *testing.B) (io.Writer, io.Reader) {
			b.Helper()
			w := newWorld(b)
			var ends []*peer
			for range 2 {
				c := w.config()
				c.Advertise = []string{tcpOnly(b, c.Socket.LocalAddr())}
				p := w.open(c)
				if len(ends) > 0 {
					p.AddSeeds(ends[0].Seeds())
				}
				ends = append(ends, p)
			}
			ends[0].untilAlive(b, 2)
			return pathStream(b, ends[0], ends[1], mesh.PathTCP)
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			from, to := bench.open(b)
			chunk := make([]byte, 1<<20)
			received := make(chan int64, 1)
			go func() {
				n, _ := io.Copy(io.Discard, to)
				received <- n
			}()
			b.SetBytes(int64(len(chunk)))
			before := cpuTime(b)
			for b.Loop() {
				if _, err := from.Write(chunk); err != nil {
					b.Fatal(err)
				}
			}
			_ = from.(io.Closer).Close()
			n := <-received
			b.ReportMetric((cpuTime(b)-before).Seconds()/(float64(n)*8/1e9), "cpu-s/Gbit")
		})
	}
}

// pathStream opens a stream that takes a path.
func pathStream(b *testing.B, from, to *peer, want mesh.Path) (io.Writer, io.Reader) {
	b.Helper()
	l := to.Listen(mesh.KindTunnel)
	c, err := from.Dial(b.Context(), to.Self(), mesh.KindTunnel)
	if err != nil {
		b.Fatal(err)
	}
	there, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = there.Close() })
	if got := from.member(to.Self()).Path; got != want {
		b.Fatalf("the path is %s, not %s", got, want)
	}
	return writer{c}, there
}

// writer ends a stream when it is closed, but lets what was written arrive.
type writer struct{ net.Conn }

func (w writer) Close() error { return w.Conn.(mesh.HalfCloser).CloseWrite() }

// rawStream is one of quic-go, with nothing of ours.
func rawStream(b *testing.B) (io.Writer, io.Reader) {
	b.Helper()
	w := newWorld(b)
	id := newIdentity(b)
	certificate := tls.Certificate{Certificate: [][]byte{w.credentials(id).CertificateDER}, PrivateKey: mesh.PrivateKey(id)}
	open := func() *quic.Transport {
		t := &quic.Transport{Conn: w.socket()}
		b.Cleanup(func() {
			_ = t.Close()
			_ = t.Conn.Close()
		})
		return t
	}
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
	defer cancel()
	there := open()
	l, err := there.Listen(&tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"raw"}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	client, err := open().Dial(ctx, there.Conn.LocalAddr(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"raw"}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	from, err := client.OpenStreamSync(ctx)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := from.Write([]byte{0}); err != nil {
		b.Fatal(err)
	}
	server, err := l.Accept(ctx)
	if err != nil {
		b.Fatal(err)
	}
	to, err := server.AcceptStream(ctx)
	if err != nil {
		b.Fatal(err)
	}
	return from, to
}
