//go:build linux

package kernel

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/meter"
)

func TestMain(m *testing.M) {
	if os.Getenv("TEST_SPIN") != "" {
		os.Exit(spin())
	}
	os.Exit(m.Run())
}

// burn uses processor time until the process has used that much.
func burn(want time.Duration) {
	for x := 0; used() < want; {
		for range 100_000 {
			x++
		}
	}
}

func used() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// spin is a supervisor: told to begin, it runs children that end, waits for them, works
// itself, and then stays until its input ends.
func spin() int {
	if os.Getenv("TEST_SPIN") == "child" {
		burn(300 * time.Millisecond)
		return 0
	}
	_, _ = os.Stdin.Read(make([]byte, 1)) // until it may begin
	for range 2 {
		child := exec.CommandContext(context.Background(), os.Args[0])
		child.Env = append(os.Environ(), "TEST_SPIN=child")
		if err := child.Run(); err != nil {
			return 1
		}
	}
	burn(500 * time.Millisecond)
	fmt.Println("done")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// What a real tree of processes uses, with children that came and went while
// it was measured, is what the kernel tells who waited for it.
func TestRealProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("uses a second of processor time")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_SPIN=parent")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var pid atomic.Int64
	p := &Partition{Kernel: Open(""), PID: func() int { return int(pid.Load()) }}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := meter.Config{
		Dir: t.TempDir(), Mesh: "m", Computer: "c", Clock: time.Now, Log: slog.New(slog.DiscardHandler),
		Sign: func(m []byte) []byte { return ed25519.Sign(private, m) }, Sample: 20 * time.Millisecond,
	}
	m, err := meter.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Track(t.Context(), 1, 0, p); err != nil {
		t.Fatal(err)
	}
	box := make(sender, 10)
	stop := run(t, m, box)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid.Store(int64(cmd.Process.Pid))
	if _, err := in.Write([]byte{0}); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 5)); err != nil { // it has used what it will
		t.Fatal(err)
	}
	p.Kernel.mu.Lock()
	p.Kernel.read = false // the table is as old as it may be
	p.Kernel.mu.Unlock()
	stop()
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}

	if m, err = meter.New(cfg); err != nil {
		t.Fatal(err)
	}
	stop = run(t, m, box)
	signed := <-box // a period of one second at least: so long it ran
	stop()
	report, err := signed.Open(public)
	if err != nil || len(report.Entries) != 1 {
		t.Fatalf("report %+v, %v", report, err)
	}
	rusage := cmd.ProcessState.SysUsage().(*syscall.Rusage) // with all that it waited for
	want := time.Duration(rusage.Utime.Nano() + rusage.Stime.Nano())
	got := time.Duration(report.Entries[0].Usage.Core)
	ratio := float64(got) / float64(want)
	t.Logf("%v measured, %v used: ratio %.3f", got, want, ratio)
	if ratio < 0.9 || ratio > 1.05 {
		t.Errorf("%v measured, %v used: ratio %.3f", got, want, ratio)
	}
	if report.Entries[0].Usage.Memory == 0 {
		t.Error("no memory used")
	}
}

// run runs a meter, and returns how to end it.
func run(t *testing.T, m *meter.Meter, to meter.Sender) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error)
	go func() { ran <- m.Run(ctx, to) }()
	return func() {
		cancel()
		if err := errors.Join(<-ran, m.Close()); err != nil {
			t.Error(err)
		}
	}
}

type sender chan ledger.SignedUsage

func (s sender) SendUsage(_ context.Context, u ledger.SignedUsage) error { s <- u; return nil }
