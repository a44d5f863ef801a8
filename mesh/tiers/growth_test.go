package tiers_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestGrowth measures how a mesh costs more as it grows: SIM_PEERS=30,1000.
func TestGrowth(t *testing.T) {
	sizes := os.Getenv("SIM_PEERS")
	if sizes == "" {
		sizes = "30,150"
	}
	for text := range strings.SplitSeq(sizes, ",") {
		var n int
		if _, err := fmt.Sscan(text, &n); err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			s := &sim{t: t, ctx: ctx, random: rand.New(rand.NewPCG(1, uint64(n))), peers: make([]*simPeer, 0, n), byName: map[string]*simPeer{}}
			defer func() {
				cancel()
				for _, p := range s.peers {
					p.down.Store(true)
					if p.list != nil {
						_ = p.list.Shutdown()
					}
				}
				s.wg.Wait()
				time.Sleep(time.Minute) // the last probes of memberlist
			}()
			s.grow(n)
		})
	}
}

// grow measures one size.
func (s *sim) grow(n int) {
	if n > 2000 { // thousands join within seconds: fewer rounds of telling
		s.gather = time.Second
	}
	for len(s.peers) < n { // all are made before any is asked: the list is not locked
		s.start(32)
	}
	for i := 1; i < n-1; i++ {
		s.wg.Go(func() { s.peers[i].enter(min(i, 1+i*3/4)) })
		time.Sleep(time.Duration(max(4, 200-i)) * time.Millisecond)
	}
	last := s.peers[n-1]
	last.down.Store(true)
	s.until(n-1, 10*time.Minute)
	last.down.Store(false)
	s.wg.Go(func() { last.enter(n - 1) })
	joined := s.until(n, time.Minute)

	time.Sleep(30 * time.Second)
	before := s.bytes()
	const span = 5 * time.Minute
	time.Sleep(span)
	pool, rate := s.rates(before, span)

	gone := s.one(true)
	gone.kill()
	attached := s.until(n-1, time.Minute)
	gone = s.one(false)
	gone.kill()
	gossiping := s.until(n-2, time.Minute)
	s.t.Logf("%d peers: %d gossip, sending %s; others %s; last joined, seen by all after %v; attached one killed %v, one of the pool %v",
		n, pool, rate[false], rate[true], joined, attached, gossiping)
	if limit := 15 * time.Second; joined > 5*time.Second || attached > 10*time.Second || gossiping > limit {
		s.t.Error("too long")
	}
}

// one finds a peer that is attached, or not.
func (s *sim) one(attached bool) *simPeer {
	for _, p := range s.peers[1:] {
		if _, is := p.tiers.Attached(); is == attached && !p.down.Load() {
			return p
		}
	}
	return s.peers[len(s.peers)-1]
}

func (s *sim) bytes() []uint64 {
	var out []uint64
	for _, p := range s.peers {
		out = append(out, p.sent.Load())
	}
	return out
}

// rates says how many bytes a second the peers of each tier sent.
func (s *sim) rates(before []uint64, span time.Duration) (pool int, text map[bool]string) {
	all := map[bool][]float64{}
	for i, p := range s.peers {
		_, attached := p.tiers.Attached()
		all[attached] = append(all[attached], float64(p.sent.Load()-before[i])/span.Seconds())
	}
	text = map[bool]string{}
	for attached, rates := range all {
		slices.Sort(rates)
		text[attached] = fmt.Sprintf("%.0f B/s (worst %.0f)", rates[len(rates)/2], rates[len(rates)-1])
	}
	return len(all[false]), text
}
