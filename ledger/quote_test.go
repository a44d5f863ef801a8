package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestQuote: a quote says what the request then does, to the last credit, and
// changes nothing.
func TestQuote(t *testing.T) {
	w := given(t, home+`
		p1 token t1 computer bob
		p1 admit p2 t1
		p2 offer 3 cores=4
		p1 offer 3 cores=4
		p1 price partition=0.02 core=0.01 request=1
		p2 price partition=0.03
		p1 price web core=0.5
		p2 price partition=0.01 from=3
	`)
	web := DigestOf(profileOf("web", "1"))
	c := Request{Reference: "a", Release: web, Policy: "cheapest", Needs: Needs{Cores: 2000}}
	before := w.Hash()
	q, err := w.Copy().Quote(AsPeer("p1"), w.at, nil, c)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%s of %s, %s an hour, %s at once, %s set aside, then %v", q.Computer, q.Owner, q.Hour, q.Due, q.SetAside, q.Others)
	if want := "p2 of bob, 1.03 an hour, 0.00 at once, 0.03 set aside, then [{p1 peer p1 1.04}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	// The price that will be in force counts, although no entry has come since.
	if q, err = w.Copy().Quote(AsPeer("p1"), w.at.Add(4*time.Hour), nil, c); err != nil || q.Hour.String() != "1.01" {
		t.Errorf("later: %+v, %v", q, err)
	}
	// What is there stays there.
	w.mustAsk(AsPeer("p1"), c)
	after := w.Hash()
	c.Needs.Cores = 4000
	if q, err = w.Copy().Quote(AsPeer("p1"), w.at, nil, c); err != nil || !q.Exists || q.Computer != "p2" || q.Hour.String() != "2.03" {
		t.Errorf("again: %+v, %v", q, err)
	}
	if q, err = w.Copy().Quote(AsPeer("p1"), w.at, nil, Request{Reference: "a", Release: web}); err != nil || !q.Exists || q.Hour.String() != "1.03" {
		t.Errorf("unchanged: %+v, %v", q, err)
	}
	// What is shared is inside its host, and holds no partition itself.
	if q, err = w.Copy().Quote(AsPeer("p1"), w.at, nil, Request{Reference: "s", Release: web, Shared: true}); err != nil || q.Computer != "p2" || q.Hour != 0 || q.Others != nil {
		t.Errorf("shared: %+v, %v", q, err)
	}
	for _, wrong := range []struct {
		c    Request
		code Code
	}{
		{Request{Reference: "b", Release: web, Needs: Needs{Cores: 9000}}, ErrExhausted},
		{Request{Reference: "b", Release: web, Needs: Needs{Cores: -1}}, ErrInvalid},
		{Request{Reference: "b", Release: web, State: InstanceDestroyed}, ErrInvalid},
		{Request{Reference: "b", Release: web, Account: "bob", Where: "cores / 0 = 1"}, ErrInvalid},
		{Request{Reference: "b", Release: DigestOf(nil)}, ErrNotFound},
	} {
		if _, err := w.Copy().Quote(AsPeer("p1"), w.at, nil, wrong.c); !errors.Is(err, wrong.code) {
			t.Errorf("%+v: %v, want %s", wrong.c, err, wrong.code)
		}
	}
	if _, err := w.Copy().Quote(AsPeer("p2"), w.at, nil, Request{Reference: "b", Release: web, Account: "ann"}); !errors.Is(err, ErrForbidden) {
		t.Errorf("for another: %v", err)
	}
	// A release that is not published yet is published for the quote only.
	profile := profileOf("mail", "1")
	publish := &Publish{Digest: DigestOf(profile), Profile: profile, Name: "mail", Version: "1"}
	if q, err = w.Copy().Quote(AsPeer("p1"), w.at, publish, Request{Reference: "m", Release: publish.Digest}); err != nil || q.Publisher != "ann" {
		t.Errorf("unpublished: %+v, %v", q, err)
	}
	if _, known := w.Release(publish.Digest); known || w.Hash() != after || before == after {
		t.Error("a quote changed something")
	}
}

// TestQuotesHold: at random points of a random history, a quote is what the
// request at once does.
func TestQuotesHold(t *testing.T) {
	const each = 1500 // commands of one history
	var r *rand.Rand
	var w *world
	placed := 0
	for step := range 5 * each {
		if step%each == 0 {
			r, w = rand.New(rand.NewPCG(uint64(step), 11)), newWorld(t)
		}
		p, c := randomCommand(r, w, step%each)
		w.at = w.at.Add(time.Duration(r.IntN(10)-1) * time.Second)
		request, ok := c.(Request)
		if !ok {
			_, _ = w.ask(p, c)
			continue
		}
		q, refused := w.Copy().Quote(p, w.at, nil, request)
		events, err := w.ask(p, c)
		if len(events) == 0 || err != nil {
			if err != nil && fmt.Sprint(refused) != err.Error() {
				t.Fatalf("step %d: quoted %+v (%v), refused with %v", step, q, refused, err)
			}
			continue
		}
		a, ok := events[0].(Allocated)
		if !ok {
			continue
		}
		placed++
		if refused != nil || q.Exists || q.Computer != a.Instance.Computer || q.SetAside != a.Charge.Reserved || q.Due != a.Charge.Total() {
			t.Fatalf("step %d: quoted %+v (%v), got %+v", step, q, refused, a)
		}
		for _, o := range q.Others {
			if o.Computer == q.Computer {
				t.Fatalf("step %d: %s is no other", step, o.Computer)
			}
		}
	}
	if placed < 20 {
		t.Errorf("only %d were placed", placed)
	}
}
