package remote_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/remote"
)

// BenchmarkPropose forwards commands to a leader over net/http on loopback,
// from 128 clients of one peer.
func BenchmarkPropose(b *testing.B) {
	m := newMesh(b, "v1", "v2")
	defer m.close()
	handler, err := remote.NewServer(remote.ServerConfig{
		Caller: func(*http.Request) (ledger.PeerID, bool) { return "v2", true },
		Ledger: m.replicas["v1"],
		Local:  m.local("v1"),
	})
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	transport := &http.Transport{MaxIdleConnsPerHost: 8, DisableCompression: true, DialContext: (&toServer{server.Listener.Addr().String()}).dial}
	defer transport.CloseIdleConnections()
	f := m.forwarder("v2", transport, func(c *remote.ForwardConfig) { c.Voters = func() []ledger.PeerID { return []ledger.PeerID{"v1"} } })
	var n atomic.Int64
	b.SetParallelism(64) // times two cores
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := f.Propose(b.Context(), remote.Credential{}, ledger.Offer{Partitions: int(n.Add(1) % 10_000)}); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
	b.ReportMetric(float64(b.N)/float64(m.calls.Load()), "commands/call")
}

// BenchmarkNextFrame cuts what one change means for one follower.
func BenchmarkNextFrame(b *testing.B) {
	m := newMesh(b, "v1")
	defer m.close()
	m.admit("c1", ledger.RoleComputer, "bob", "b1")
	m.admit("c2", ledger.RoleComputer, "cem", "b2")
	m.busy(0)
	since := m.index - 1
	for b.Loop() {
		now, changes, ok := m.replicas["v1"].Changes(since)
		if !ok {
			b.Fatal("forgotten")
		}
		v, err := now.Viewer("c1")
		if err != nil {
			b.Fatal(err)
		}
		now.NextFrame(v, func(yield func(ledger.Change) bool) {
			for _, c := range changes {
				if !yield(c) {
					return
				}
			}
		})
	}
}

type toServer struct{ address string }

func (s *toServer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", s.address)
}

// quiet stands in for a test where there is none.
type quiet struct{ testing.TB }

func (quiet) Helper() {}

func (quiet) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func ExampleForwarder() {
	m := newMesh(quiet{}, "v1", "v2")
	defer m.close()
	transport := m.as("v2")
	defer transport.CloseIdleConnections()

	f := m.forwarder("v2", transport, nil) // on v2; v1 leads
	_, err := f.Propose(context.Background(), remote.Credential{}, ledger.Offer{Partitions: 3})
	c, _ := m.replicas["v2"].View().Computer("v2")
	fmt.Println(c.Partitions, err)
	// Output: 3 <nil>
}
