package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/client"
)

// A load is clients that request instances through all peers, and what they
// were told.
type load struct {
	w     *world
	token string // of a second account, whose clients use the local API
	seed  uint64

	stop chan struct{}
	end  func() // lets the clients finish what they are at
	wg   sync.WaitGroup

	mu    sync.Mutex
	calls []call
	value int
}

// A call is one request and its answer.
type call struct {
	peer     *testPeer
	account  string
	ref      string
	value    int // of the parameter that was asked for, 0 for none
	from, to time.Duration
	got      protocol.Instance
	err      error
}

// never says that the answer was that nothing has happened.
func (c call) never() bool {
	code := protocol.CodeOf(c.err)
	return c.err != nil && code != "" && (code != protocol.ErrUnavailable || strings.Contains(c.err.Error(), "nothing has happened"))
}

const (
	loadClients  = 10
	loadEach     = 20 // requests for an instance of its own, per client
	hotInstances = 4
	annsClients  = 2 // of them all
)

func (w *world) load(seed uint64, token string) *load {
	l := &load{w: w, seed: seed, token: token, stop: make(chan struct{}), value: 100}
	l.end = sync.OnceFunc(func() {
		close(l.stop)
		l.wg.Wait()
	})
	for n := range loadClients {
		l.wg.Go(func() { l.run(n) })
	}
	return l
}

// run is one client: it asks for instances of its own, each until somebody
// has acknowledged it or it loses patience, and changes a parameter of those
// that all clients share.
func (l *load) run(n int) {
	rng := rand.New(rand.NewPCG(l.seed, uint64(n)))
	account := "operator"
	if n < annsClients {
		account = "ann"
	}
	for made := 0; ; {
		select {
		case <-l.stop:
			return
		case <-time.After(time.Duration(300+rng.IntN(5700)) * time.Millisecond):
		}
		if made < loadEach && rng.IntN(3) > 0 {
			made++
			ref := fmt.Sprintf("c%d-%d", n, made)
			for tries := 1 + rng.IntN(3); tries > 0; tries-- {
				if c := l.ask(l.anyone(rng, account), account, ref, 0); c.err == nil {
					break
				}
			}
			continue
		}
		l.mu.Lock()
		l.value++
		value := l.value
		l.mu.Unlock()
		l.ask(l.anyone(rng, account), account, fmt.Sprintf("hot-%d", rng.IntN(hotInstances)), value)
	}
}

// anyone returns one of the peers that run and let the account in.
func (l *load) anyone(rng *rand.Rand, account string) *testPeer {
	all := l.w.alive()
	not := l.w.peers[mayVote+1] // Ann's acts for her
	if account == "ann" {
		not = l.w.peers[mayVote] // does not know her token
	}
	all = slices.DeleteFunc(all, func(p *testPeer) bool { return p == not })
	return all[rng.IntN(len(all))]
}

// ask makes one request through a peer and keeps the answer.
func (l *load) ask(p *testPeer, account, ref string, value int) call {
	in := protocol.RequestInput{Reference: ref, Release: "memcached"}
	if value > 0 {
		in.Parameters = map[string]json.RawMessage{"connections": json.RawMessage(strconv.Itoa(value))}
	}
	who := p.ask()
	if account == "ann" && p != l.w.peers[mayVote+1] { // her own peer needs no token
		who = l.anns(p)
		defer func() { _ = who.Close() }()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.w.t.Context()), 20*time.Second)
	defer cancel()
	c := call{peer: p, account: account, ref: ref, value: value, from: time.Since(l.w.begin)}
	c.got, c.err = who.Request(ctx, in)
	c.to = time.Since(l.w.begin)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, c)
	return c
}

func (l *load) anns(p *testPeer) *client.Client {
	d, _ := p.running()
	c, err := client.New(client.Config{Dial: d.api.(*pipeListener).dial, Token: l.token})
	if err != nil {
		l.w.t.Fatal(err)
	}
	return c
}

// answered returns what was told so far.
func (l *load) answered() []call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]call(nil), l.calls...)
}

// acknowledged counts the calls that were, and those that were not.
func (l *load) acknowledged() (yes, no int) {
	for _, c := range l.answered() {
		if c.err == nil {
			yes++
		} else {
			no++
		}
	}
	return yes, no
}

// firstAfter waits for the first request that began after the time and was
// acknowledged by one of the peers, and returns when that was.
func (l *load) firstAfter(at time.Duration, among ...*testPeer) time.Duration {
	l.w.t.Helper()
	var first time.Duration
	l.w.eventually(time.Minute, "a request is acknowledged", func() bool {
		for _, c := range l.answered() {
			for _, p := range among {
				if c.err == nil && c.from > at && c.peer == p && (first == 0 || c.to < first) {
					first = c.to
				}
			}
		}
		return first > 0
	})
	return first
}

// checkOrder holds the changes of the shared instances against a register: of
// each acknowledged one a write and then a read of what the answer showed, of
// the others a write that may have happened at any later time, unless it was
// said that nothing has happened.
func (l *load) checkOrder() {
	t := l.w.t
	t.Helper()
	type operation struct {
		write bool
		value int
	}
	histories := map[string][]porcupine.Operation{}
	end := int64(time.Since(l.w.begin)) + 1
	for n, c := range l.answered() {
		if c.value == 0 || c.never() {
			continue
		}
		key := c.account + "/" + c.ref
		write := porcupine.Operation{ClientId: 2 * n, Input: operation{true, c.value}, Call: int64(c.from), Return: end}
		if c.err == nil {
			write.Return = int64(c.to)
			var seen int
			if err := json.Unmarshal(c.got.Parameters["connections"], &seen); err != nil {
				t.Errorf("%s: parameters %s: %v", c.ref, c.got.Parameters, err)
			}
			histories[key] = append(histories[key], porcupine.Operation{
				ClientId: 2*n + 1, Input: operation{false, seen}, Call: int64(c.from), Return: int64(c.to),
			})
		}
		histories[key] = append(histories[key], write)
	}
	register := porcupine.Model{
		Init: func() any { return 0 },
		Step: func(state, in, _ any) (bool, any) {
			if o := in.(operation); o.write {
				return true, o.value
			}
			return state == in.(operation).value, state
		},
	}
	for key, history := range histories {
		switch porcupine.CheckOperationsTimeout(register, history, 0) {
		case porcupine.Ok:
			l.w.logf("%d operations on %s are linearizable", len(history), key)
		case porcupine.Illegal:
			t.Errorf("changes of %s: not linearizable", key)
		case porcupine.Unknown:
			t.Errorf("changes of %s: not decided", key)
		}
	}
}
