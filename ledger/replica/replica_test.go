package replica_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/replica"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// soloLog is a log of one voter: what is proposed is applied at once.
type soloLog struct {
	mu      sync.Mutex
	machine *replica.Replica
	index   uint64
	at      time.Time
}

func (l *soloLog) Propose(_ context.Context, command []byte) (uint64, []byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.index++
	return l.index, l.machine.Apply(l.index, l.at, [][]byte{command})[0], nil
}

// newSolo returns a replica of a mesh that is founded, and its log.
func newSolo(tb testing.TB) (*replica.Replica, *soloLog) {
	tb.Helper()
	return newSoloWith(tb, replica.Config{})
}

func newSoloWith(tb testing.TB, cfg replica.Config) (*replica.Replica, *soloLog) {
	tb.Helper()
	r := replica.New(cfg)
	log := &soloLog{machine: r, at: noon}
	r.Attach(log)
	propose(tb, r, ledger.System(), ledger.Found{
		Rules: ledger.CurrentRules, Secret: make([]byte, 32),
		Name: "home", ID: "m1", Account: "ann", Peer: "p1", PeerName: "attic", PublicKey: []byte{1},
	})
	return r, log
}

func propose(tb testing.TB, r *replica.Replica, p ledger.Principal, c ledger.Command) ledger.Outcome {
	tb.Helper()
	out, err := r.Propose(context.Background(), p, c)
	if err != nil {
		tb.Fatalf("propose %s: %v", c.Kind(), err)
	}
	return out
}

// publish publishes a release and returns its digest.
func publish(tb testing.TB, r *replica.Replica, name string) ledger.ReleaseDigest {
	tb.Helper()
	profile := []byte("profile of " + name)
	propose(tb, r, ledger.AsPeer("p1"), ledger.Publish{Digest: ledger.DigestOf(profile), Profile: profile, Name: name})
	return ledger.DigestOf(profile)
}

func TestRefusalKeepsItsCode(t *testing.T) {
	r, _ := newSolo(t)
	d := publish(t, r, "web")

	_, err := r.Propose(t.Context(), ledger.AsPeer("p1"), ledger.Request{Reference: "db1", Release: d})
	if !errors.Is(err, ledger.ErrExhausted) {
		t.Errorf("err = %v, want %v", err, ledger.ErrExhausted)
	}
}

func TestTimeNeverRunsBack(t *testing.T) {
	r, log := newSolo(t)
	log.at = noon.Add(-time.Hour)
	propose(t, r, ledger.AsPeer("p1"), ledger.Offer{Partitions: 1})

	c, _ := r.View().Computer("p1")
	if !c.Since.Equal(noon) {
		t.Errorf("offered at %v, want %v", c.Since, noon)
	}
}

func TestViewDoesNotChange(t *testing.T) {
	r, _ := newSolo(t)
	before := r.View()
	propose(t, r, ledger.AsPeer("p1"), ledger.Offer{Partitions: 1})

	if _, ok := before.Computer("p1"); ok {
		t.Error("a view that was taken before shows the computer")
	}
	if _, ok := r.View().Computer("p1"); !ok {
		t.Error("a view that was taken after does not show the computer")
	}
}

func TestSnapshotWhileApplyGoesOn(t *testing.T) {
	r, _ := newSolo(t)
	d := publish(t, r, "web")
	propose(t, r, ledger.AsPeer("p1"), ledger.Offer{Partitions: 100})
	snapshot, err := r.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	want := r.View().Hash()
	for n := range 50 {
		propose(t, r, ledger.AsPeer("p1"), ledger.Request{Reference: ledger.Reference(fmt.Sprint("web", n)), Release: d})
	}
	var stream bytes.Buffer
	if n, err := snapshot.WriteTo(&stream); err != nil || n != int64(stream.Len()) {
		t.Fatalf("wrote %d of %d bytes: %v", n, stream.Len(), err)
	}

	other := replica.New(replica.Config{})
	if err := other.Restore(&stream); err != nil {
		t.Fatal(err)
	}
	if got := other.View().Hash(); got != want {
		t.Errorf("hash = %v, want %v", got, want)
	}
}

func TestRestoreOfGarbageKeepsTheState(t *testing.T) {
	r, _ := newSolo(t)
	want := r.View().Hash()
	for _, garbage := range []string{"", "garbage", "\x00\x00\x00\x01\xa0", "\xff\xff\xff\xff"} {
		if err := r.Restore(bytes.NewReader([]byte(garbage))); err == nil {
			t.Errorf("restored %q", garbage)
		}
	}
	if got := r.View().Hash(); got != want {
		t.Errorf("hash = %v, want %v", got, want)
	}
}

func TestSubscriptionsWakeWhomItConcerns(t *testing.T) {
	r, _ := newSolo(t)
	d := publish(t, r, "web")
	propose(t, r, ledger.AsPeer("p1"), ledger.Offer{Partitions: 1})
	for topic, want := range map[ledger.Topic]bool{
		ledger.TopicAll():          true,
		ledger.TopicAccount("ann"): true,
		ledger.TopicAccount("bob"): false,
		ledger.TopicComputer("p1"): true,
		ledger.TopicComputer("p2"): false,
		ledger.TopicMembers():      true, // a partition is used
		ledger.TopicSoftware():     false,
	} {
		sub := r.Subscribe(topic)
		<-sub.Changed() // the first look
		ref := ledger.Reference(fmt.Sprint("web", len(fmt.Sprint(topic))))
		propose(t, r, ledger.AsPeer("p1"), ledger.Request{Reference: ref, Release: d})
		got := false
		select {
		case <-sub.Changed():
			got = true
		default:
		}
		sub.Close()
		if got != want {
			t.Errorf("%+v: woken = %v, want %v", topic, got, want)
		}
		freeAll(t, r)
	}
}

// freeAll destroys the instances on the only computer.
func freeAll(tb testing.TB, r *replica.Replica) {
	tb.Helper()
	for i := range r.View().InstancesOn("p1") {
		propose(tb, r, ledger.AsPeer("p1"), ledger.SetState{Reference: i.Reference, State: ledger.InstanceDestroyed})
		propose(tb, r, ledger.AsPeer("p1"), ledger.Report{Instances: []ledger.InstanceReport{
			{ID: i.ID, Generation: i.Generation + 1, State: ledger.InstanceDestroyed},
		}})
	}
}

func TestWaitIndex(t *testing.T) {
	r, log := newSolo(t)
	next := log.index + 1
	done := make(chan error, 1)
	go func() { done <- r.WaitIndex(t.Context(), next) }()
	out := propose(t, r, ledger.AsPeer("p1"), ledger.Offer{Partitions: 1})
	if out.Index != next {
		t.Errorf("index = %d, want %d", out.Index, next)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if err := r.WaitIndex(ctx, next+1); !errors.Is(err, why) {
		t.Errorf("err = %v, want %v", err, why)
	}
}

func TestWhatCannotBeReadIsNotProposed(t *testing.T) {
	r, log := newSolo(t)
	before := log.index
	_, err := r.Propose(t.Context(), ledger.AsPeer("p1"), ledger.Request{Reference: "a\xff"})
	if !errors.Is(err, ledger.ErrInvalid) || log.index != before {
		t.Errorf("err = %v, index %d", err, log.index)
	}
}

// TestConcurrentRequestsAreDistinct asks for 320 instances from 16 clients at
// once, where 400 partitions are free.
func TestConcurrentRequestsAreDistinct(t *testing.T) {
	r, _ := newSolo(t)
	d := publish(t, r, "web")
	propose(t, r, ledger.System(), ledger.CreateToken{
		ID: "t", Digest: bytes.Repeat([]byte{1}, 32), Role: ledger.RoleComputer, Uses: 40, Expires: noon.Add(time.Hour), Account: "ann",
	})
	for n := range 40 {
		id := ledger.PeerID(fmt.Sprint("c", n))
		propose(t, r, ledger.AsPeer("p1"), ledger.Admit{TokenDigest: bytes.Repeat([]byte{1}, 32), Peer: id, PublicKey: []byte{1}, Name: string(id)})
		propose(t, r, ledger.AsPeer(id), ledger.Offer{Partitions: 10})
	}
	var wg sync.WaitGroup
	for client := range 16 {
		wg.Go(func() {
			for n := range 20 {
				ref := ledger.Reference(fmt.Sprint("i", client, "-", n))
				for range 2 { // each is asked twice, as after a lost answer
					if _, err := r.Propose(t.Context(), ledger.AsPeer("p1"), ledger.Request{Reference: ref, Release: d}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	type place struct {
		computer  ledger.ComputerID
		partition int
	}
	places, addresses := make(map[place]bool), make(map[string]bool)
	for i := range r.View().Instances("ann") {
		places[place{i.Computer, i.Partition}] = true
		addresses[i.Address.String()] = true
	}
	if len(places) != 320 || len(addresses) != 320 {
		t.Errorf("%d partitions and %d addresses, want 320", len(places), len(addresses))
	}
}

func TestUnreadableEntryStopsTheReplica(t *testing.T) {
	r, _ := newSolo(t)
	defer func() {
		if recover() == nil {
			t.Error("Apply took what it cannot read")
		}
	}()
	r.Apply(9, noon, [][]byte{[]byte("garbage")})
}

func TestChangesAreRememberedForAWhile(t *testing.T) {
	r := replica.New(replica.Config{History: 20})
	log := &soloLog{machine: r, at: noon}
	r.Attach(log)
	propose(t, r, ledger.System(), ledger.Found{
		Rules: ledger.CurrentRules, Secret: make([]byte, 32),
		Name: "home", ID: "m1", Account: "ann", Peer: "p1", PeerName: "attic", PublicKey: []byte{1},
	})
	for n := range 100 {
		propose(t, r, ledger.AsPeer("p1"), ledger.Offer{Partitions: n + 1})
	}
	now, changes, ok := r.Changes(log.index - 2)
	if !ok || now.Index() != log.index || len(changes) != 4 { // computer and event, twice
		t.Errorf("changes = %v (%v) up to %d", changes, ok, now.Index())
	}
	if _, _, ok := r.Changes(1); ok {
		t.Error("everything is remembered")
	}
	if _, _, ok := r.Changes(log.index + 1); ok {
		t.Error("the future is remembered")
	}
}
