package rest_test

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

	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/client"
	"github.com/slapmesh/slapmesh/protocol/rest"
)

// instant is a Service that decides nothing.
type instant struct{ protocol.Service }

func (instant) Request(_ context.Context, in protocol.RequestInput) (protocol.Instance, error) {
	return protocol.Instance{
		Reference: in.Reference, Account: "ann", Release: in.Release, Type: "default", Parameters: in.Parameters,
		RequestedState: protocol.RequestStarted, State: protocol.StateWaiting, Computer: "peer1", Partition: "p0",
	}, nil
}

// BenchmarkRequest measures what HTTP costs a request, both ends, apart from
// its decision.
func BenchmarkRequest(b *testing.B) {
	path := filepath.Join(b.TempDir(), "s")
	l, err := (&net.ListenConfig{}).Listen(b.Context(), "unix", path)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- rest.New(rest.Config{}).Serve(ctx, l, door(instant{})) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	}()
	for _, clients := range []int{1, 32, 128} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			c, err := client.New(client.Config{Socket: path})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close() //nolint:errcheck // idle connections
			b.ReportAllocs()
			before := cpu(b)
			var next atomic.Int64
			var all sync.WaitGroup
			for range clients {
				all.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						in := protocol.RequestInput{Reference: fmt.Sprint("db", n), Release: "memcached"}
						if _, err := c.Request(b.Context(), in); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

// cpu is the time that this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
