package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// A Credential is who asks this peer. The zero Credential is the peer
// itself, which asks for its account.
type Credential struct {
	// TokenDigest is the SHA-256 of the secret of a user token.
	TokenDigest []byte
}

// ForwardConfig says how a peer reaches the leader.
type ForwardConfig struct {
	// Self is this peer.
	Self ledger.PeerID

	// HTTP carries a request to the peer that the host of its URL names.
	HTTP http.RoundTripper

	// Local is how this peer orders commands when it leads. Nil if it does
	// not replicate.
	Local *Local

	// Voters lists whom to ask for the leader, the likeliest first.
	Voters func() []ledger.PeerID

	// Hopeless says that no majority can be reached, so that it is no use to
	// wait for a leader. Default: never.
	Hopeless func() bool

	// Patience is how long a command waits for a leader. Default 5 s.
	Patience time.Duration

	// Stall is how long the answer of one peer is waited for, before the
	// command is asked of the next. Default 1 s.
	Stall time.Duration

	// Flights is how many calls are under way to one peer at a time; what is
	// asked meanwhile shares the next one. Default 2.
	Flights int
}

// withDefaults returns a completed copy of c, or says what is missing.
func (c ForwardConfig) withDefaults() (ForwardConfig, error) {
	if c.Self == "" || c.HTTP == nil || c.Voters == nil {
		return c, errors.New("remote: forward config: Self, HTTP and Voters required")
	}
	if c.Hopeless == nil {
		c.Hopeless = func() bool { return false }
	}
	if c.Patience <= 0 {
		c.Patience = 5 * time.Second
	}
	if c.Stall <= 0 {
		c.Stall = time.Second
	}
	if c.Flights <= 0 {
		c.Flights = 2
	}
	return c, nil
}

// A Forwarder brings commands to the leader, whoever it is. Commands that
// are asked at the same time share a call. Use [NewForwarder].
type Forwarder struct {
	cfg ForwardConfig

	mu      sync.Mutex // guards what follows
	leader  ledger.PeerID
	moved   chan struct{} // closed when another peer is said to lead
	elected chan struct{} // closed when the log says so, not a guess
	lanes   map[ledger.PeerID]*lane
}

// A lane is what waits to be sent to one peer, and how many calls to it are
// under way.
type lane struct {
	waiting []*proposal
	flights int
}

type proposal struct {
	item item
	ctx  context.Context //nolint:containedctx // that of the caller, who waits for done
	done chan result
}

// NewForwarder returns a forwarder. It has nothing to close: it runs only
// while somebody waits for it.
func NewForwarder(cfg ForwardConfig) (*Forwarder, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Forwarder{cfg: cfg, lanes: make(map[ledger.PeerID]*lane), moved: make(chan struct{}), elected: make(chan struct{})}, nil
}

// Moved says which peer leads now, or "" if none is known to. Commands that
// wait for another one are asked again at once. A peer that replicates calls
// it when its log says so; others need not.
func (f *Forwarder) Moved(leader ledger.PeerID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.moveLocked(leader); leader != "" {
		close(f.elected)
		f.elected = make(chan struct{})
	}
}

// election returns a channel that tells when the log names a leader.
func (f *Forwarder) election() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.elected
}

// moveLocked notes who leads, and tells those who wait for another one.
func (f *Forwarder) moveLocked(leader ledger.PeerID) {
	if f.leader == leader {
		return
	}
	f.leader = leader
	close(f.moved)
	f.moved = make(chan struct{})
}

// Propose has the mesh decide c. The error is a [*ledger.Refusal] whatever
// happens, but for that of ctx: if no leader was found in time its code is
// unavailable, and its detail says whether c may have happened. It is safe
// to propose it again.
func (f *Forwarder) Propose(ctx context.Context, who Credential, c ledger.Command) (ledger.Outcome, error) {
	data, err := ledger.EncodeCommand(c)
	if err != nil {
		return ledger.Outcome{}, fmt.Errorf("propose %s: %w", c.Kind(), err)
	}
	try := &attempts{forwarder: f, item: item{c.Kind(), data, who.TokenDigest, true}}
	patience := time.NewTimer(f.cfg.Patience)
	defer patience.Stop()
	for {
		elected := f.election() // before asking, so that none is missed
		target, ok := try.next()
		if ok {
			res := try.ask(ctx, target)
			if res.NotLeader == nil && res.Fault == "" {
				f.follow(target)
				return ledger.Outcome{Index: res.Index}, ledger.ParseReply(res.Reply)
			}
			if f.learn(target, res) {
				continue
			}
		}
		if f.cfg.Hopeless() {
			return ledger.Outcome{}, try.refusal(c.Kind(), "this peer reaches no majority of the voters")
		}
		pause := time.NewTimer(try.backoff())
		select {
		case <-pause.C:
		case <-elected:
			pause.Stop()
		case <-patience.C:
			pause.Stop()
			return ledger.Outcome{}, try.refusal(c.Kind(), fmt.Sprintf("no leader answered within %v", f.cfg.Patience))
		case <-ctx.Done():
			pause.Stop()
			return ledger.Outcome{}, fmt.Errorf("propose %s: %w", c.Kind(), context.Cause(ctx))
		}
	}
}

// attempts are those of one command.
type attempts struct {
	forwarder *Forwarder
	item      item
	count     int
	unknown   error // the last failure after which c may have happened
}

// next returns the peer to ask: the leader, if one is known; otherwise the
// voters in turn, this peer first if it is one.
func (t *attempts) next() (ledger.PeerID, bool) {
	t.count++
	f := t.forwarder
	f.mu.Lock()
	leader := f.leader
	f.mu.Unlock()
	if leader != "" {
		return leader, true
	}
	voters := f.cfg.Voters()
	if f.cfg.Local != nil {
		voters = append([]ledger.PeerID{f.cfg.Self}, voters...)
	}
	if len(voters) == 0 {
		return "", false
	}
	return voters[(t.count-1)%len(voters)], true
}

func (t *attempts) backoff() time.Duration {
	return min(time.Duration(t.count)*10*time.Millisecond, 200*time.Millisecond)
}

// ask has target order the command, and says what became of it.
func (t *attempts) ask(ctx context.Context, target ledger.PeerID) result {
	f := t.forwarder
	if target == f.cfg.Self {
		if f.cfg.Local == nil {
			return result{NotLeader: &notLeader{}}
		}
		return t.note(f.cfg.Local.propose(ctx, f.cfg.Self, []item{t.item})[0])
	}
	p := &proposal{t.item, ctx, make(chan result, 1)}
	moved := f.enqueue(target, p) //nolint:contextcheck // a call is shared, so it does not end with one of those who wait
	stall := time.NewTimer(f.cfg.Stall)
	defer stall.Stop()
	for {
		select {
		case res := <-p.done:
			return t.note(res)
		case <-stall.C:
			return t.note(result{Fault: fmt.Sprintf("%s did not answer within %v", target, f.cfg.Stall)})
		case <-ctx.Done():
			return t.note(result{Fault: context.Cause(ctx).Error()})
		case <-moved:
			var leader ledger.PeerID
			if leader, moved = f.leading(); leader != "" && leader != target {
				return t.note(result{Fault: fmt.Sprintf("%s leads instead of %s", leader, target)})
			}
		}
	}
}

// leading returns who leads, and a channel that tells when that changes.
func (f *Forwarder) leading() (ledger.PeerID, chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leader, f.moved
}

// note remembers whether the command may have happened after all.
func (t *attempts) note(res result) result {
	if res.Fault != "" {
		t.unknown = errors.New(res.Fault)
	}
	return res
}

func (t *attempts) refusal(kind, why string) error {
	detail := fmt.Sprintf("%s: %s", kind, why)
	if t.unknown != nil {
		detail += fmt.Sprintf("; it may have happened (%v): ask again, that is safe", t.unknown)
	} else {
		detail += "; nothing has happened: ask again later"
	}
	return &ledger.Refusal{Code: ledger.ErrUnavailable, Detail: detail}
}

// follow remembers who answered as the leader.
func (f *Forwarder) follow(leader ledger.PeerID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moveLocked(leader)
}

// learn takes from an answer that did not help who leads, and reports whether
// it is worth asking that peer at once.
func (f *Forwarder) learn(asked ledger.PeerID, res result) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.leader == asked {
		f.leader = ""
	}
	if res.NotLeader == nil || res.NotLeader.Leader == "" || res.NotLeader.Leader == asked {
		return false
	}
	f.moveLocked(res.NotLeader.Leader)
	return true
}

// enqueue has p sent with the next call to target. The channel it returns
// tells when another peer is said to lead.
func (f *Forwarder) enqueue(target ledger.PeerID, p *proposal) chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lanes[target]
	if l == nil {
		l = new(lane)
		f.lanes[target] = l
	}
	l.waiting = append(l.waiting, p)
	if l.flights < f.cfg.Flights {
		l.flights++
		go f.fly(target, l)
	}
	return f.moved
}

// fly sends what waits, call after call, until nothing does.
func (f *Forwarder) fly(target ledger.PeerID, l *lane) {
	for {
		batch := f.board(target, l)
		if batch == nil {
			return
		}
		f.call(target, batch)
	}
}

// board takes the next batch out of a lane, or ends the flight.
func (f *Forwarder) board(target ledger.PeerID, l *lane) []*proposal {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(l.waiting) == 0 {
		if l.flights--; l.flights == 0 {
			delete(f.lanes, target)
		}
		return nil
	}
	n, size := 0, 0
	for n < len(l.waiting) && n < maxBatch && (n == 0 || size+len(l.waiting[n].item.Data) <= maxBatchBytes) {
		size += len(l.waiting[n].item.Data)
		n++
	}
	batch := l.waiting[:n:n]
	l.waiting = l.waiting[n:]
	return batch
}

// call sends a batch and gives everyone in it an answer. It does not end
// when one of those who wait gives up.
func (f *Forwarder) call(target ledger.PeerID, batch []*proposal) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(batch[0].ctx), f.cfg.Patience)
	defer cancel()
	items := make([]item, len(batch))
	for n, p := range batch {
		items[n] = p.item
	}
	results, sent, err := f.post(ctx, target, items)
	if err != nil {
		failed := result{Fault: err.Error()}
		if !sent {
			failed = result{NotLeader: &notLeader{}} // it cannot have happened
		}
		for _, p := range batch {
			p.done <- failed
		}
		return
	}
	for n, p := range batch {
		p.done <- results[n]
	}
}

// post makes one call. It says whether anything was sent, if it fails.
func (f *Forwarder) post(ctx context.Context, target ledger.PeerID, items []item) (results []result, sent bool, err error) {
	body, err := ledger.Marshal(call{items})
	if err != nil {
		return nil, false, err
	}
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { wrote.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+string(target)+pathPropose, bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := f.cfg.HTTP.RoundTrip(req)
	if err != nil {
		return nil, wrote.Load(), err
	}
	defer drain(resp)
	if resp.StatusCode != http.StatusOK {
		return nil, true, fmt.Errorf("%s answered %s", target, resp.Status)
	}
	var out answer
	if err := readBody(resp.Body, &out); err != nil {
		return nil, true, fmt.Errorf("answer of %s: %w", target, err)
	}
	if len(out.Results) != len(items) {
		return nil, true, fmt.Errorf("answer of %s: %d results to %d commands", target, len(out.Results), len(items))
	}
	return out.Results, true, nil
}
