package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/consensus"
	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/remote"
	"github.com/slapmesh/slapmesh/ledger/view"
	"github.com/slapmesh/slapmesh/mesh"
)

// leaderPatience is how long anything waits for a leader where a majority can
// be reached. Without one it is refused at once.
const leaderPatience = 5 * time.Second

// books is this peer's copy of the ledger, whatever its part: with a seat,
// the replica that the log drives; without, a slice that a voter keeps up to
// date. Readers see one view and need not know.
type books struct {
	d       *Daemon
	slice   *remote.Follower
	forward *remote.Forwarder
	local   *remote.Local
	log     *slog.Logger

	sitting sync.Mutex // one change of seat at a time

	mu       sync.Mutex
	seat     *seat         // the log is open
	seated   bool          // and its replica has caught up
	switched chan struct{} // closed when one of them changes
	fresh    chan struct{} // closed once readers are told what was decided before this peer began
	heard    Standing      // what a member was told of consensus last
	heardAt  time.Time
}

// A source is a copy of the ledger that is kept up to date.
type source interface {
	View() *ledger.State
	Await(index uint64) (reached <-chan struct{}, forget func())
	Subscribe(topics ...ledger.Topic) *view.Subscription
}

// current returns the copy to read, and a channel that is closed when it is
// another one.
func (b *books) current() (source, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seated {
		return b.seat, b.switched
	}
	return b.slice, b.switched
}

// Seat returns the seat of this peer, or nil.
func (b *books) Seat() *seat {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seat
}

// Leads reports whether this peer orders commands now.
func (b *books) Leads() bool {
	s := b.Seat()
	return s != nil && s.node.Leads()
}

// View returns the ledger as this peer knows it.
func (b *books) View() *ledger.State {
	s, _ := b.current()
	return s.View()
}

// WaitIndex returns when the view contains the log up to index.
func (b *books) WaitIndex(ctx context.Context, index uint64) error {
	for {
		s, switched := b.current()
		reached, forget := s.Await(index)
		select {
		case <-reached:
			return nil
		case <-switched:
			forget()
		case <-ctx.Done():
			forget()
			return context.Cause(ctx)
		}
	}
}

// Subscribe returns a channel that receives a value when something that
// concerns the topics may have changed, and once at the start.
func (b *books) Subscribe(topics ...ledger.Topic) (changed <-chan struct{}, stop func()) {
	out, done := make(chan struct{}, 1), make(chan struct{})
	go func() {
		for b.relay(topics, out, done) {
		}
	}()
	return out, sync.OnceFunc(func() { close(done) })
}

// relay passes wake-ups on until the copy is another one (true) or done is
// closed (false).
func (b *books) relay(topics []ledger.Topic, out chan<- struct{}, done <-chan struct{}) bool {
	s, switched := b.current()
	r := s.Subscribe(topics...)
	defer r.Close()
	for {
		select {
		case <-r.Changed():
			select {
			case out <- struct{}{}:
			default:
			}
		case <-switched:
			return true
		case <-done:
			return false
		}
	}
}

// roleChanged returns a channel that is closed when this peer's seat is
// another one.
func (b *books) roleChanged() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.switched
}

func (b *books) switchLocked() {
	close(b.switched)
	b.switched = make(chan struct{})
}

// sit takes a seat. Until its replica has caught up the slice is read on.
func (b *books) sit(number uint64, by mesh.PeerID) error {
	b.sitting.Lock()
	defer b.sitting.Unlock()
	if s := b.Seat(); s != nil {
		if s.number == number {
			return nil
		}
		if err := b.standUp(s); err != nil {
			return err
		}
	}
	s, err := b.d.takeSeat(number, by)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.seat = s
	b.switchLocked()
	b.mu.Unlock()
	b.log.Info("took a seat", "seat", number)
	return nil
}

// catchUp makes the replica the copy to read once it knows as much as the
// slice did.
func (b *books) catchUp(ctx context.Context) error {
	for ctx.Err() == nil {
		b.mu.Lock()
		s, seated, switched := b.seat, b.seated, b.switched
		b.mu.Unlock()
		if s != nil && !seated && b.caughtUp(ctx, s, switched) {
			continue
		}
		select {
		case <-ctx.Done():
		case <-switched:
		}
	}
	return nil
}

func (b *books) caughtUp(ctx context.Context, s *seat, switched <-chan struct{}) bool {
	reached, forget := s.Await(max(1, b.slice.View().Index()))
	select {
	case <-reached:
	case <-switched:
		forget()
		return false
	case <-ctx.Done():
		forget()
		return false
	}
	if !b.hears(ctx, s, switched) {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seat != s {
		return false
	}
	b.seated = true
	b.switchLocked()
	b.refreshed()
	return true
}

// hears returns when the replica of a seat has all that was decided before it
// found the others, or after some time, with what there is: no majority may be
// there. It is false if the seat is another one by then.
func (b *books) hears(ctx context.Context, s *seat, switched <-chan struct{}) bool {
	patience := time.NewTimer(leaderPatience)
	defer patience.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		index, ok := s.node.Heard()
		if ok && s.View().Index() >= index {
			return true
		}
		select {
		case <-tick.C:
		case <-patience.C:
			return true
		case <-switched:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// refreshed lets readers in.
func (b *books) refreshed() {
	select {
	case <-b.fresh:
	default:
		close(b.fresh)
	}
}

// awaitFresh returns when this peer knows what was decided before it began, or
// soon.
func (b *books) awaitFresh(ctx context.Context) {
	patience := time.NewTimer(2 * leaderPatience)
	defer patience.Stop()
	select {
	case <-b.fresh:
	case <-patience.C:
	case <-ctx.Done():
	}
}

// stand gives a seat up, unless it was given up already: another one may have
// been offered meanwhile.
func (b *books) stand(s *seat) error {
	b.sitting.Lock()
	defer b.sitting.Unlock()
	if b.Seat() != s {
		return nil
	}
	return errors.Join(b.standUp(s), removeIfThere(b.d.folder.file("ca.key")), removeIfThere(b.d.folder.file("ca.next")))
}

func (b *books) standUp(s *seat) error {
	b.mu.Lock()
	b.seat, b.seated = nil, false
	b.switchLocked()
	b.mu.Unlock()
	return b.d.leaveSeat(s)
}

// Propose has the mesh decide c for whoever asks this peer, wherever the
// leader is, and returns the index of the decision.
func (b *books) Propose(ctx context.Context, who remote.Credential, c ledger.Command) (uint64, error) {
	outcome, err := b.forward.Propose(ctx, who, c)
	if refusal, ok := errors.AsType[*ledger.Refusal](err); ok && refusal.Code == ledger.ErrUnavailable {
		detail := strings.TrimPrefix(refusal.Detail, c.Kind()+": ") // who asked may know it by another name
		if b.hopeless() {
			detail += "; " + stillWorks
		}
		err = &ledger.Refusal{Code: refusal.Code, Detail: detail}
	}
	return outcome.Index, err
}

// Quote says what would become of a request of whoever asks this peer.
func (b *books) Quote(ctx context.Context, who remote.Credential, publish *ledger.Publish, c ledger.Request) (ledger.Quote, error) {
	return b.forward.Quote(ctx, who, b.View().Index(), publish, c)
}

// stillWorks is what a peer can do that reaches no majority.
const stillWorks = "what runs goes on running, and status, list, show and logs of what runs here work from what this peer knows"

// Lead has the mesh decide c for p, for whom this peer vouches as the leader.
// It fails where this peer does not lead.
func (b *books) Lead(ctx context.Context, p ledger.Principal, c ledger.Command) (uint64, error) {
	s := b.Seat()
	if s == nil {
		return 0, &consensus.NotLeaderError{}
	}
	outcome, err := s.Propose(ctx, p, c)
	return outcome.Index, err
}

// localLog is the log for commands that reach this peer, whether or not it
// has a seat at the moment.
type localLog struct{ *books }

// ProposeAll orders commands, where this peer has a seat and leads.
func (l localLog) ProposeAll(ctx context.Context, commands [][]byte) (uint64, [][]byte, error) {
	s := l.Seat()
	if s == nil {
		return 0, nil, &consensus.NotLeaderError{}
	}
	return s.node.ProposeAll(ctx, commands)
}

// notLeader says whether err means that this peer does not lead, and who
// does.
func notLeader(err error) (ledger.PeerID, bool) {
	var not *consensus.NotLeaderError
	if !errors.As(err, &not) {
		return "", false
	}
	return ledger.PeerID(not.Leader), true
}

// newLocal is how commands are ordered here, should this peer lead.
func newLocal(b *books) *remote.Local {
	return &remote.Local{Ledger: b, Log: localLog{b}, NotLeader: notLeader, Clock: b.d.cfg.Clock, Decided: b.hasten}
}

// hasten has a peer that waits for what was just decided learn of it.
func (b *books) hasten(peer ledger.PeerID) {
	if s := b.Seat(); s != nil {
		s.node.Hasten(string(peer))
	}
}

// hopeless says that no majority of the voters can be reached, so that it is
// no use to wait for a leader.
func (b *books) hopeless() bool {
	b.mu.Lock()
	s, last := b.seat, b.heard
	b.mu.Unlock()
	voters := last.Voters
	if s != nil {
		voters = s.standing().Voters
	}
	return len(voters) > 0 && 2*b.reachable(voters) <= len(voters)
}

// awaitLeader returns when a leader is known again, or refuses.
func (b *books) awaitLeader(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaderPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if c := b.Consensus(ctx); c.Leader != "" && c.Quorum {
			return nil
		}
		if b.hopeless() {
			return &ledger.Refusal{Code: ledger.ErrUnavailable, Detail: "this peer reaches no majority of the voters: nothing new can be decided until they are back; " + stillWorks}
		}
		select {
		case <-ctx.Done():
			return &ledger.Refusal{Code: ledger.ErrUnavailable, Detail: fmt.Sprintf("the voters have not elected a leader within %v: ask again", leaderPatience)}
		case <-tick.C:
		}
	}
}

// reachable counts those of the peers that answer, this one included.
func (b *books) reachable(peers []string) int {
	alive := map[string]bool{}
	for _, m := range b.d.mesh.Members() {
		alive[string(m.ID)] = m.State == mesh.StateAlive
	}
	n := 0
	for _, p := range peers {
		if alive[p] || p == string(b.d.mesh.Self()) {
			n++
		}
	}
	return n
}

// Profile returns the bytes of a release's profile.
func (b *books) Profile(ctx context.Context, digest ledger.ReleaseDigest) ([]byte, error) {
	if data, ok := b.View().Profile(digest); ok {
		return data, nil
	}
	return b.slice.Profile(ctx, digest)
}
