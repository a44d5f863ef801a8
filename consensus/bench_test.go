package consensus_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/consensus"
	"github.com/slapmesh/slapmesh/consensus/consensustest"
)

// A loopback reaches peers over TCP on this computer.
type loopback struct {
	net.Listener
	addresses *sync.Map
}

func newLoopback(tb testing.TB, addresses *sync.Map, peer string) *loopback {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	addresses.Store(peer, l.Addr().String())
	return &loopback{l, addresses}
}

func (l *loopback) Dial(ctx context.Context, peer string) (net.Conn, error) {
	address, ok := l.addresses.Load(peer)
	if !ok {
		return nil, fmt.Errorf("dial %s: unknown", peer)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", address.(string))
}

// loopbackMesh founds a mesh over TCP, with its log on the disk of TempDir.
func loopbackMesh(tb testing.TB, voters int) []*consensus.Node {
	tb.Helper()
	var addresses sync.Map
	var nodes []*consensus.Node
	dir := tb.TempDir()
	for i := range voters {
		peer := string(rune('a' + i))
		cfg := consensus.Config{Peer: peer, Seat: 1, Dir: filepath.Join(dir, peer)}
		node, err := consensus.Open(cfg, newLoopback(tb, &addresses, peer), &consensustest.Register{})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = node.Close() })
		nodes = append(nodes, node)
		if i == 0 {
			if err := node.Bootstrap(); err != nil {
				tb.Fatal(err)
			}
			wait(tb, func() bool { return node.Status().State == consensus.StateLeader })
			continue
		}
		if err := nodes[0].AddStandby(tb.Context(), peer, 1); err != nil {
			tb.Fatal(err)
		}
		wait(tb, func() bool { return nodes[0].Promote(tb.Context(), peer, 1) == nil })
	}
	return nodes
}

func wait(tb testing.TB, ok func() bool) {
	tb.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	tb.Fatal("not within 10s")
}

// cpu returns the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPropose orders commands of 200 bytes, durably.
func BenchmarkPropose(b *testing.B) {
	for _, voters := range []int{1, 3} {
		nodes := loopbackMesh(b, voters)
		for _, callers := range []int{1, 32, 128} {
			b.Run(fmt.Sprintf("voters=%d/callers=%d", voters, callers), func(b *testing.B) {
				proposeFrom(b, nodes[0], callers)
			})
		}
	}
}

func proposeFrom(b *testing.B, leader *consensus.Node, callers int) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	var group sync.WaitGroup
	used := cpu()
	for range callers {
		group.Go(func() {
			for left.Add(-1) >= 0 {
				if _, _, err := leader.Propose(b.Context(), make([]byte, 200)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
	b.ReportMetric(float64((cpu()-used).Microseconds())/float64(b.N), "cpu-µs/op")
}

// BenchmarkIdle reports the processor time that three idle voters take
// together, in thousandths of one core.
func BenchmarkIdle(b *testing.B) {
	loopbackMesh(b, 3)
	for b.Loop() {
		used := cpu()
		time.Sleep(10 * time.Second)
		b.ReportMetric(float64((cpu()-used).Microseconds())/10_000, "cpu-‰")
	}
}

// BenchmarkFailover cuts the leader of three off, on real time and disks, and
// measures until another acknowledges a command.
func BenchmarkFailover(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		nodes := loopbackMesh(b, 3)
		time.Sleep(time.Second)
		if err := consensus.Cut(nodes[0]); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		for acknowledged := false; !acknowledged; time.Sleep(time.Millisecond) {
			for _, n := range nodes[1:] {
				_, _, err := n.Propose(b.Context(), []byte("next"))
				acknowledged = acknowledged || err == nil
			}
		}
		b.StopTimer()
		for _, n := range nodes {
			_ = n.Close()
		}
		b.StartTimer()
	}
}
