package meter_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/meter"
)

// One core at work, and a gibibyte of memory.
type busy struct{ now *time.Duration }

func (b busy) Read(context.Context) (meter.Reading, error) {
	return meter.Reading{
		By: meter.ByCgroup, Tasks: []meter.Task{{Start: 1, Own: uint64(*b.now)}}, Memory: 1 << 30,
	}, nil
}

// A reader is a ledger that prints what it is told.
type reader struct {
	key  ed25519.PublicKey
	done context.CancelFunc
}

func (r reader) SendUsage(_ context.Context, signed ledger.SignedUsage) error {
	report, err := signed.Open(r.key)
	if err != nil {
		return err
	}
	for _, e := range report.Entries {
		fmt.Printf("report %d: %v ran %v and used %d GiB-seconds\n",
			report.Number, e.Instance, time.Duration(e.Usage.Core), e.Usage.Memory>>30)
	}
	r.done()
	return nil
}

func Example() {
	dir, err := os.MkdirTemp("", "meter")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	public, private, _ := ed25519.GenerateKey(nil)
	now := time.Hour // since the computer was started
	cfg := meter.Config{
		Dir: dir, Mesh: "mesh", Computer: "computer", Log: slog.New(slog.DiscardHandler),
		Sign:  func(m []byte) []byte { return ed25519.Sign(private, m) },
		Clock: func() time.Time { return time.Unix(0, 0).Add(now) }, Boot: "boot", Monotonic: func() time.Duration { return now },
	}
	m, err := meter.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	_ = m.Track(ctx, 7, 0, busy{&now})
	now += time.Minute
	_ = m.Untrack(ctx, 7) // closes the period
	_ = m.Run(ctx, reader{public, cancel})
	_ = m.Close()
	// Output: report 1: i7 ran 1m0s and used 60 GiB-seconds
}
