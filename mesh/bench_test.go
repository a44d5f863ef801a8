package mesh_test

import (
	"context"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
)

// BenchmarkJoin measures from the start of Join to the moment when all 20
// peers see the newcomer, on the loopback: mutual TLS, token, certificate,
// gossip.
func BenchmarkJoin(b *testing.B) {
	const n = 20
	w := newWorld(b)
	peers := w.start(n - 1)
	for _, p := range peers {
		p.untilAlive(b, n-1)
	}
	var admitted, visible time.Duration
	for i := 0; b.Loop(); i++ {
		c := w.config()
		begin := time.Now()
		token := w.token
		r, err := mesh.Join(b.Context(), mesh.JoinConfig{
			Identity: c.Identity, Socket: c.Socket, Address: peers[i%len(peers)].Addr().String(), Token: &token, Name: c.Name, Clock: w.now,
		})
		if err != nil {
			b.Fatal(err)
		}
		admitted += time.Since(begin)
		c.Credentials = r.Credentials
		p := w.open(c)
		p.AddSeeds(r.Seeds)
		p.untilAlive(b, n)
		for _, other := range peers {
			other.untilAlive(b, n)
		}
		visible += time.Since(begin)
		b.StopTimer()
		if err := p.Leave(b.Context()); err != nil {
			b.Fatal(err)
		}
		p.stop()
		for _, other := range peers {
			other.untilAlive(b, n-1)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(admitted.Milliseconds())/float64(b.N), "admitted-ms")
	b.ReportMetric(float64(visible.Milliseconds())/float64(b.N), "visible-ms")
}

// BenchmarkIdle reports what peers that have nothing to do cost: MESH_PEERS
// of them (default 20) in this process, for ten seconds after they settled.
func BenchmarkIdle(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("MESH_PEERS"))
	if err != nil {
		n = 20
	}
	w := newWorld(b)
	peers := w.start(n)
	for _, p := range peers {
		p.untilAlive(b, n)
	}
	time.Sleep(30 * time.Second)
	connections := 0
	for _, p := range peers {
		connections += p.Connections()
	}
	const span = 10 * time.Second
	var cpu time.Duration
	for b.Loop() {
		before := cpuTime(b)
		time.Sleep(span)
		cpu += cpuTime(b) - before
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	b.ReportMetric(100*cpu.Seconds()/(span.Seconds()*float64(b.N)*float64(n)), "%cpu/peer")
	b.ReportMetric(float64(m.HeapAlloc)/float64(n)/1024, "heap-kB/peer")
	b.ReportMetric(float64(m.StackInuse)/float64(n)/1024, "stack-kB/peer")
	b.ReportMetric(float64(connections)/float64(n), "conns/peer")
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchPair returns two peers that know each other, on the loopback.
func benchPair(b *testing.B) (from, to *peer) {
	b.Helper()
	w := newWorld(b)
	peers := w.start(2)
	peers[0].untilAlive(b, 2)
	return peers[0], peers[1]
}

// BenchmarkDial measures the opening of a stream, with the peer's answer.
func BenchmarkDial(b *testing.B) {
	from, to := benchPair(b)
	to.echo(mesh.KindRPC)
	for b.Loop() {
		c, err := from.Dial(context.Background(), to.Self(), mesh.KindRPC)
		if err != nil {
			b.Fatal(err)
		}
		_ = c.Close()
	}
}

// BenchmarkRoundTrip measures 64 bytes there and back over an open stream.
func BenchmarkRoundTrip(b *testing.B) {
	from, to := benchPair(b)
	to.echo(mesh.KindRPC)
	c, err := from.Dial(context.Background(), to.Self(), mesh.KindRPC)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	word := make([]byte, 64)
	for b.Loop() {
		if _, err := c.Write(word); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, word); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBulk measures one stream's throughput.
func BenchmarkBulk(b *testing.B) {
	from, to := benchPair(b)
	l := to.Listen(mesh.KindTunnel)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}()
	var c net.Conn
	c, err := from.Dial(context.Background(), to.Self(), mesh.KindTunnel)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	chunk := make([]byte, 1<<20)
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		if _, err := c.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
}
