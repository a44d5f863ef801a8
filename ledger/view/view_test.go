package view_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/view"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// step has the next entry decide c for p.
func step(tb testing.TB, b *view.Board, p ledger.Principal, c ledger.Command) {
	tb.Helper()
	b.Update(func(s *ledger.State) []ledger.Change {
		at := s.Advance(s.Index()+1, noon)
		events, err := s.Decide(c, ledger.Context{At: at, Principal: p})
		if err != nil {
			tb.Fatal(err)
		}
		return s.Evolve(events...)
	})
}

func founded(tb testing.TB) *view.Board {
	tb.Helper()
	b := view.New(ledger.NewState())
	step(tb, b, ledger.System(), ledger.Found{
		Rules: ledger.CurrentRules, Secret: make([]byte, 32),
		Name: "home", ID: "m1", Account: "ann", Peer: "p1", PeerName: "attic", PublicKey: []byte{1},
	})
	return b
}

func TestViewsNeverChange(t *testing.T) {
	b := founded(t)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for range 200 {
				s := b.View()
				before := s.Hash()
				for c := range s.Computers() {
					_ = c.Partitions
				}
				if s.Hash() != before {
					t.Error("a view changed")
				}
			}
		})
	}
	for n := range 200 {
		step(t, b, ledger.AsPeer("p1"), ledger.Offer{Partitions: n})
	}
	readers.Wait()
	if one, other := b.View(), b.View(); one != other {
		t.Error("a view is not shared")
	}
}

func TestWaitIndexGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := founded(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.WaitIndex(ctx, 3); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
		done := make(chan error, 2)
		go func() { done <- b.WaitIndex(t.Context(), 2) }()
		go func() { done <- b.WaitIndex(t.Context(), 3) }()
		synctest.Wait()
		step(t, b, ledger.AsPeer("p1"), ledger.Offer{Partitions: 1})
		if err := <-done; err != nil {
			t.Error(err)
		}
		step(t, b, ledger.AsPeer("p1"), ledger.Offer{Partitions: 1}) // which changes nothing
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestRestartWakesEveryone(t *testing.T) {
	b := founded(t)
	sub := b.Subscribe(ledger.TopicAccount("zoe"))
	<-sub.Changed()
	b.Restart(ledger.NewState())
	<-sub.Changed()
	sub.Close()
	b.Restart(ledger.NewState())
	select {
	case <-sub.Changed():
		t.Error("a closed subscription is woken")
	default:
	}
}

func ExampleBoard_Subscribe() {
	b := view.New(ledger.NewState())
	sub := b.Subscribe(ledger.TopicMembers())
	defer sub.Close()
	<-sub.Changed() // the first look

	b.Update(func(s *ledger.State) []ledger.Change {
		at := s.Advance(1, noon)
		events, err := s.Decide(ledger.Found{
			Rules: ledger.CurrentRules, Secret: make([]byte, 32),
			Name: "home", ID: "m1", Account: "ann", Peer: "p1", PeerName: "attic", PublicKey: []byte{1},
		}, ledger.Context{At: at, Principal: ledger.System()})
		if err != nil {
			panic(err)
		}
		return s.Evolve(events...)
	})

	<-sub.Changed()
	for p := range b.View().Peers() {
		fmt.Println(p.Name, p.Role)
	}
	// Output: attic voter
}

// BenchmarkUpdate measures what readers cost: a change with as many
// subscriptions, each to an account of its own.
func BenchmarkUpdate(b *testing.B) {
	for _, readers := range []int{0, 1000} {
		b.Run(fmt.Sprint("readers=", readers), func(b *testing.B) {
			board := founded(b)
			for n := range readers {
				defer board.Subscribe(ledger.TopicAccount(ledger.AccountName(fmt.Sprint("a", n))), ledger.TopicComputer("p9")).Close()
			}
			n := 0
			for b.Loop() {
				n++
				step(b, board, ledger.AsPeer("p1"), ledger.Offer{Partitions: n % 1000})
			}
		})
	}
}

func BenchmarkView(b *testing.B) {
	board := founded(b)
	for b.Loop() {
		_ = board.View()
	}
}
