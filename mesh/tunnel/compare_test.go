package tunnel_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/slapmesh/slapmesh/mesh"
)

// A thousand connections through one service are open at once, and each gets
// its own bytes back.
func TestThousandConnections(t *testing.T) {
	const connections = 1000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Max < 6*connections {
		t.Skipf("needs %d open files, the limit is %d (ulimit -Hn)", 6*connections, limit.Max)
	}
	r := newRig(t, nil)
	go func() {
		for {
			s, err := r.instance.Accept()
			if err != nil {
				return
			}
			go echo(s)
		}
	}()
	_ = r.dial(t).Close() // somebody listens from now on
	var open, done sync.WaitGroup
	open.Add(connections)
	for n := range connections {
		done.Go(func() {
			// What is said first opens the connection from end to end.
			said := bytes.Repeat([]byte(fmt.Sprintf("%04d ", n)), 4000)
			c, err := new(net.Dialer).DialContext(t.Context(), "tcp", r.address.String())
			if err == nil {
				_, err = c.Write(said[:5])
			}
			if err == nil {
				_, err = io.ReadFull(c, make([]byte, 5))
			}
			open.Done()
			if err != nil {
				t.Errorf("connection %d: %v", n, err)
				return
			}
			defer func() { _ = c.Close() }()
			open.Wait() // for all others
			go func() {
				_, _ = c.Write(said)
				_ = c.(*net.TCPConn).CloseWrite()
			}()
			if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, said) {
				t.Errorf("connection %d: %d of %d bytes back, %v", n, len(got), len(said), err)
			}
		})
	}
	done.Wait()
}

func echo(c net.Conn) {
	_, _ = io.Copy(c, c)
	_ = c.Close()
}

// A line is a way for bytes from one end to another, within this process.
type line struct {
	name string
	open func(b *testing.B) (from io.ReadWriteCloser, to io.ReadWriteCloser)
}

var lines = []line{
	{"tls", tlsLine},
	{"quic", quicLine},
	{"tunnel", func(b *testing.B) (io.ReadWriteCloser, io.ReadWriteCloser) {
		b.Helper()
		r := newRig(b, nil)
		c := r.dial(b)
		return c, r.accept(b)
	}},
}

// BenchmarkBulk compares what one tunnel carries, from TCP to TCP, with plain
// TLS over TCP and with one stream of quic-go, in one run: bytes a second, and
// seconds of processor time a gigabit, of both ends together.
func BenchmarkBulk(b *testing.B) {
	for _, l := range lines {
		b.Run(l.name, func(b *testing.B) {
			from, to := l.open(b)
			go func() { _, _ = io.Copy(io.Discard, to) }()
			chunk := make([]byte, 1<<20)
			b.SetBytes(int64(len(chunk)))
			before := processorTime(b)
			for b.Loop() {
				if _, err := from.Write(chunk); err != nil {
					b.Fatal(err)
				}
			}
			gigabits := float64(b.N) * float64(len(chunk)) * 8 / 1e9
			b.ReportMetric((processorTime(b)-before).Seconds()/gigabits, "cpu-s/Gbit")
			_, _ = from.Close(), to.Close()
		})
	}
}

// BenchmarkLatency compares how long 64 bytes take there and back.
func BenchmarkLatency(b *testing.B) {
	for _, l := range lines {
		b.Run(l.name, func(b *testing.B) {
			from, to := l.open(b)
			go func() { _, _ = io.Copy(to, to) }()
			word := make([]byte, 64)
			for b.Loop() {
				if _, err := from.Write(word); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(from, word); err != nil {
					b.Fatal(err)
				}
			}
			_, _ = from.Close(), to.Close()
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// tlsConfig is for one server and whoever calls it.
func tlsConfig(b *testing.B) *tls.Config {
	b.Helper()
	ca, err := mesh.NewCA("bench", rand.Reader, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	// Any certificate and its key will do: the CA's own are at hand.
	pem, err := ca.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pem, pem)
	if err != nil {
		b.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"bench"}}
}

func tlsLine(b *testing.B) (io.ReadWriteCloser, io.ReadWriteCloser) {
	b.Helper()
	c := tlsConfig(b)
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	accepted := make(chan net.Conn, 1)
	go func() {
		if s, err := l.Accept(); err == nil && s.(*tls.Conn).Handshake() == nil { //nolint:noctx // ends with the listener
			accepted <- s
		}
	}()
	from, err := (&tls.Dialer{Config: c}).DialContext(b.Context(), "tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	return from, <-accepted
}

// A stream of quic-go, whose connection ends with it.
type quicEnd struct {
	*quic.Stream
	conn *quic.Conn
}

func (q quicEnd) Close() error { return q.conn.CloseWithError(0, "done") }

func quicLine(b *testing.B) (io.ReadWriteCloser, io.ReadWriteCloser) {
	b.Helper()
	c := tlsConfig(b)
	l, err := quic.ListenAddr("127.0.0.1:0", c, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	accepted := make(chan io.ReadWriteCloser, 1)
	go func() {
		conn, err := l.Accept(b.Context())
		if err != nil {
			return
		}
		if s, err := conn.AcceptStream(b.Context()); err == nil {
			_, _ = io.ReadFull(s, make([]byte, 1))
			accepted <- quicEnd{s, conn}
		}
	}()
	conn, err := quic.DialAddr(b.Context(), l.Addr().String(), c, nil)
	if err != nil {
		b.Fatal(err)
	}
	s, err := conn.OpenStreamSync(b.Context())
	if err == nil {
		_, err = s.Write([]byte{1}) // so that the other end hears of it
	}
	if err != nil {
		b.Fatal(err)
	}
	return quicEnd{s, conn}, <-accepted
}
