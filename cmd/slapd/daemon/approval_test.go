package daemon

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/protocol"
)

// asks has the peer ask to join without a token, in the background.
func (p *testPeer) asks(ctx context.Context, through *testPeer) (answer <-chan error, waits func() []string) {
	d, _ := through.running()
	var mu sync.Mutex
	var waited []string
	done := make(chan error, 1)
	socket := p.w.socket()
	address := through.address() + "#" + mesh.Fingerprint(d.mesh.Digest()).String()
	go func() {
		defer func() { _ = socket.Close() }()
		result, err := Join(ctx, p.config, JoinOptions{
			Settings: p.settings, Address: address, Socket: socket,
			Waits: func(id string, _, _ time.Time) {
				mu.Lock()
				defer mu.Unlock()
				waited = append(waited, id)
			},
		})
		if err == nil {
			p.config.Seeds = result.Seeds
		}
		done <- err
	}()
	return done, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(waited)
	}
}

// TestApproval is about strangers that ask to join, wait, and are let in or
// refused.
func TestApproval(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a, b := w.twoPeers()
		ctx := t.Context()
		newcomer, other, third := w.newPeer(2), w.newPeer(2), w.newPeer(2)

		answer, _ := newcomer.asks(ctx, b)
		says(t, <-answer, "", "private", "join with a token")
		how, err := b.ask().SetAdmission(ctx, protocol.AdmissionInput{Ask: true})
		if err != nil || !strings.HasPrefix(how.Join, "slapd join ") || !strings.Contains(how.Join, "#") {
			t.Fatalf("%+v, %v", how, err)
		}

		first, waited := newcomer.asks(ctx, b)
		time.Sleep(20 * time.Second)
		before := a.view().Index()
		time.Sleep(time.Minute)
		if n := len(waited()); n < 10 {
			t.Errorf("it was told to wait %d times", n)
		}
		if grown := a.view().Index() - before; grown > 20 {
			t.Errorf("asking again wrote %d entries", grown)
		}
		id := waited()[0]
		for _, p := range []*testPeer{a, b} {
			pending, err := p.ask().Pending(ctx)
			if err != nil || len(pending) != 1 || pending[0].PeerID != id || pending[0].Name != newcomer.name || pending[0].Refused != "" {
				t.Errorf("%s: %+v, %v", p.name, pending, err)
			}
		}
		if warned := strings.Join(a.status().Warnings, " "); !strings.Contains(warned, "ask to join: 1.") {
			t.Errorf("the status does not say that somebody waits: %s", warned)
		}
		if a.status().Members != 2 {
			t.Error("who waits is a member")
		}
		_, err = a.ask().Approve(ctx, "nobody", protocol.ApproveInput{})
		says(t, err, protocol.ErrNotFound, "slapd members pending")
		if _, err := a.ask().Approve(ctx, id[:8], protocol.ApproveInput{Account: "ann"}); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := <-first; err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > 2*askAgain {
			t.Errorf("it learnt after %v that it was let in", took)
		}
		newcomer.run()
		w.eventually(time.Minute, "it is a member", func() bool { return newcomer.status().Account == "ann" && newcomer.status().Members == 3 })
		if _, err := newcomer.ask().Pending(ctx); protocol.CodeOf(err) != protocol.ErrForbidden {
			t.Errorf("a computer sees who asks: %v", err)
		}

		// One that is refused is told why, also when it asks again.
		second, waited := other.asks(ctx, newcomer)
		time.Sleep(10 * time.Second)
		if _, err := b.ask().Refuse(ctx, waited()[0], protocol.RefuseInput{Reason: "ask me in person"}); err != nil {
			t.Fatal(err)
		}
		says(t, <-second, "", "an operator refused", "ask me in person")
		again, _ := other.asks(ctx, a)
		says(t, <-again, "", "ask me in person")

		// One that gives up may go on later; a peer that restarts meanwhile is no
		// matter.
		brief, cancel := context.WithCancel(ctx)
		gone, waited := third.asks(brief, a)
		time.Sleep(10 * time.Second)
		cancel()
		says(t, <-gone, "", "the same line again goes on waiting")
		back, _ := third.asks(ctx, b)
		time.Sleep(10 * time.Second)
		if _, err := a.ask().Approve(ctx, waited()[0], protocol.ApproveInput{Role: protocol.RoleVoter}); err != nil {
			t.Fatal(err)
		}
		if err := <-back; err != nil {
			t.Error(err)
		}
		if p, _ := a.view().Peer(ledger.PeerID(waited()[0])); p.Role != ledger.RoleVoter || !p.Operator {
			t.Errorf("it is %+v", p)
		}
		if errors.Is(err, mesh.ErrRefused) {
			t.Error(err)
		}
	})
}
