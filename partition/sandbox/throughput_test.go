package sandbox_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/partition/sandbox"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// BenchmarkNetwork measures a megabyte, and a connection, from a service: on
// the computer's own loopback, by a connection that was passed out, as for
// tunnels, and through the supervisor, as for other partitions.
func BenchmarkNetwork(b *testing.B) {
	c := newBenchmark(b)
	if !c.host.OwnNetwork() {
		b.Skip("no networks here")
	}
	r, err := c.host.Launch(b.Context(), sandbox.Partition{Folder: c.folder, Tree: c.tree})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	const address = "127.64.250.2:8080"
	if err := r.Apply(b.Context(), supervisor.Spec{Services: []supervisor.Service{{
		Name: "flood", Argv: []string{"probe", "flood", address}, Ready: []supervisor.Check{{TCP: address}},
	}}}); err != nil {
		b.Fatal(err)
	}
	ctx, started := context.WithTimeout(b.Context(), time.Minute)
	defer started()
	var last supervisor.Status
	err = r.Watch(ctx, func(s supervisor.Status) {
		if last = s; s.Phase == supervisor.PhaseStarted {
			started()
		}
	})
	if last.Phase != supervisor.PhaseStarted {
		b.Fatalf("the service did not start: %v; %+v", err, last)
	}
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Serve(b.Context(), supervisor.Entrance{From: "computer", Address: address}, l); err != nil {
		b.Fatal(err)
	}
	entrance := l.Addr().String()
	_ = l.Close()
	outside := exec.CommandContext(b.Context(), probe, "flood", "127.64.250.3:8080")
	outside.Stderr = os.Stderr
	says, err := outside.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := outside.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _, _ = outside.Process.Kill(), outside.Wait() }()
	if _, err := io.ReadFull(says, make([]byte, 1)); err != nil { // it says so when it listens, or ends
		b.Fatalf("the server of the computer itself: %v", err)
	}
	dial := func(address string) func() (net.Conn, error) {
		return func() (net.Conn, error) { return new(net.Dialer).DialContext(b.Context(), "tcp", address) }
	}
	loopback := dial("127.64.250.3:8080")
	for _, way := range []struct {
		name string
		dial func() (net.Conn, error)
	}{
		{"loopback", loopback},
		{"passed", func() (net.Conn, error) { return r.Dial(b.Context(), netip.MustParseAddrPort(address), false) }},
		{"supervisor", dial(entrance)},
	} {
		b.Run(way.name+"/bytes", func(b *testing.B) {
			c, err := way.dial()
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			b.SetBytes(1 << 20)
			buffer := make([]byte, 1<<20)
			for b.Loop() {
				if _, err := io.ReadFull(c, buffer); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(way.name+"/connection", func(b *testing.B) {
			first := make([]byte, 1)
			for b.Loop() {
				c, err := way.dial()
				if err == nil {
					_, err = io.ReadFull(c, first)
				}
				if err != nil {
					b.Fatal(err)
				}
				_ = c.(*net.TCPConn).SetLinger(0)
				_ = c.Close()
			}
		})
	}
}
