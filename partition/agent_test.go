package partition

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// A fakeNode is a computer and a ledger in memory: the agent's source,
// reporter and host.
type fakeNode struct {
	mu       sync.Mutex
	begin    time.Time
	changed  chan struct{}
	wanted   map[ledger.InstanceID]ledger.Instance
	supplies map[ledger.ReleaseDigest]ledger.Supply
	profiles map[ledger.ReleaseDigest][]byte
	lag      []func() // reports that the view does not show yet
	lags     bool
	poison   ledger.InstanceID // reports with it are refused
	lastTold uint64            // generation of the last instance told of
	news     chan struct{}     // closed when the ledger shows something new
	done     []string          // what the host was asked, in order
	told     []string          // what was reported, in order

	trees   map[string]bool
	running map[int]*fakeSupervisor
	data    map[int]ledger.InstanceID
	fails   map[string]int                  // calls that still fail so many times
	takes   map[string]time.Duration        // calls that take long
	broken  map[ledger.ReleaseDigest]string // releases of which a promise fails, and why
}

type fakeSupervisor struct {
	instance ledger.Instance
	status   supervisor.Status
	changed  chan struct{} // closed at the next change
	gone     bool
}

func newFakeNode() *fakeNode {
	return &fakeNode{
		begin: time.Now(), news: make(chan struct{}), changed: make(chan struct{}, 1), wanted: make(map[ledger.InstanceID]ledger.Instance),
		supplies: make(map[ledger.ReleaseDigest]ledger.Supply), trees: make(map[string]bool),
		running: make(map[int]*fakeSupervisor), data: make(map[int]ledger.InstanceID),
		fails: make(map[string]int), takes: make(map[string]time.Duration),
	}
}

func (n *fakeNode) sayLocked(to *[]string, format string, args ...any) {
	*to = append(*to, fmt.Sprintf("%s %s", time.Since(n.begin).Round(time.Second), fmt.Sprintf(format, args...)))
}

// expect fails unless that was done and that was told since the last call.
func (n *fakeNode) expect(t *testing.T, done, told string) {
	t.Helper()
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	if got := strings.Join(n.done, ", "); got != done {
		t.Errorf("done: %s\nwant: %s", got, done)
	}
	if got := strings.Join(n.told, ", "); got != told {
		t.Errorf("told: %s\nwant: %s", got, told)
	}
	n.done, n.told, n.begin = nil, nil, time.Now()
}

func (n *fakeNode) Wanted(context.Context) (Wanted, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fails["wanted"] > 0 {
		n.fails["wanted"]--
		return Wanted{}, errors.New("no ledger yet")
	}
	w := Wanted{Profiles: make(map[ledger.ReleaseDigest][]byte)}
	for _, id := range slices.Sorted(maps.Keys(n.wanted)) {
		w.Instances = append(w.Instances, n.wanted[id])
		w.Profiles[n.wanted[id].Release] = n.profileLocked(n.wanted[id].Release)
	}
	for _, d := range slices.Sorted(maps.Keys(n.supplies)) {
		w.Supplies = append(w.Supplies, n.supplies[d])
		w.Profiles[d] = n.profileLocked(d)
	}
	return w, nil
}

func (n *fakeNode) profileLocked(d ledger.ReleaseDigest) []byte {
	if p, ok := n.profiles[d]; ok {
		return p
	}
	return []byte(d)
}

func (n *fakeNode) Changed() <-chan struct{} { return n.changed }

func (n *fakeNode) wake() {
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// want changes what the ledger wants of an instance.
func (n *fakeNode) want(id ledger.InstanceID, partition int, release string, state ledger.InstanceState) {
	n.order(id, func(i *ledger.Instance) {
		i.Partition, i.Release, i.Requested = partition, ledger.ReleaseDigest(release), state
	})
}

// order changes an instance, or makes it.
func (n *fakeNode) order(id ledger.InstanceID, change func(*ledger.Instance)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := n.wanted[id]
	i.ID = id
	i.Generation++
	change(&i)
	n.wanted[id] = i
	n.wake()
}

func (n *fakeNode) Report(_ context.Context, r ledger.Report) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fails["report"] > 0 {
		n.fails["report"]--
		return errors.New("no leader")
	}
	for _, i := range r.Instances {
		if i.ID == n.poison {
			return fmt.Errorf("report: instance %s: %w", i.ID, ledger.ErrInvalid)
		}
	}
	for _, i := range r.Instances {
		text := string(i.State)
		if i.Reason != "" {
			text += " (" + i.Reason + ")"
		}
		if i.Healthy {
			text += " " + i.Connection["url"]
		}
		n.sayLocked(&n.told, "%s %s", i.ID, text)
		n.showLocked(func() {
			have, ok := n.wanted[i.ID]
			if !ok || i.Generation != have.Generation {
				return
			}
			have.State, have.Reason, have.Healthy = i.State, i.Reason, i.Healthy
			if i.Connection != nil {
				have.Connection = i.Connection
			}
			n.lastTold = i.Generation
			n.wanted[i.ID] = have
			if i.State == ledger.InstanceDestroyed {
				delete(n.wanted, i.ID)
			}
		})
	}
	for _, s := range r.Supplies {
		n.sayLocked(&n.told, "%s %s", s.Release, strings.TrimSpace(string(s.State)+" "+s.Progress+s.Error))
		n.showLocked(func() {
			have := n.supplies[s.Release]
			have.State, have.Progress, have.Error = s.State, s.Progress, s.Error
			n.supplies[s.Release] = have
			if s.State == ledger.SupplyDestroyed {
				delete(n.supplies, s.Release)
			}
		})
	}
	return nil
}

func (n *fakeNode) showLocked(change func()) {
	if n.lags {
		n.lag = append(n.lag, change)
		return
	}
	change()
	close(n.news)
	n.news = make(chan struct{})
	n.wake()
}

// shown returns a channel that is closed when the ledger shows something new.
func (n *fakeNode) shown() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.news
}

// call notes a call of the host, and fails or takes its time as told.
func (n *fakeNode) call(ctx context.Context, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	n.mu.Lock()
	n.sayLocked(&n.done, "%s", what)
	fails := n.fails[what] > 0
	if fails {
		n.fails[what]--
	}
	takes := n.takes[what]
	n.mu.Unlock()
	if err := wait(ctx, takes); err != nil {
		n.mu.Lock()
		n.sayLocked(&n.done, "%s: cancelled", what)
		n.mu.Unlock()
		return err
	}
	if fails {
		return errors.New("cannot " + what)
	}
	return nil
}

func (n *fakeNode) Look(ctx context.Context) (map[int]Place, error) {
	if err := n.call(ctx, "look"); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	places := make(map[int]Place)
	for p, id := range n.data {
		s := n.running[p]
		places[p] = Place{Instance: id, Running: s != nil}
		if s != nil {
			places[p] = Place{Instance: id, Running: true, Release: s.instance.Release}
		}
	}
	return places, nil
}

func (n *fakeNode) Built(profile []byte) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	tree := "tree of " + string(profile)
	if !n.trees[tree] {
		return "", false
	}
	return tree, true
}

func (n *fakeNode) Build(ctx context.Context, profile []byte, progress func(string)) (string, error) {
	progress("downloading")
	if err := n.call(ctx, "build %s", profile); err != nil {
		return "", err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	tree := "tree of " + string(profile)
	n.trees[tree] = true
	return tree, nil
}

func (n *fakeNode) Drop(ctx context.Context, tree string) error {
	n.mu.Lock()
	delete(n.trees, tree)
	n.mu.Unlock()
	return n.call(ctx, "drop %s", tree)
}

func (n *fakeNode) Start(ctx context.Context, start Start) (Result, error) {
	i := start.Instance
	n.mu.Lock()
	n.data[i.Partition] = i.ID
	n.mu.Unlock()
	if err := n.call(ctx, "start p%d", i.Partition); err != nil {
		return Result{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.running[i.Partition]
	if s == nil {
		s = &fakeSupervisor{changed: make(chan struct{})}
		n.running[i.Partition] = s
	}
	s.instance = i
	spec := fmt.Sprintf("spec %d", i.Generation)
	st := supervisor.Status{Phase: supervisor.PhaseStarted, Healthy: true, Spec: spec}
	if why := n.broken[i.Release]; why != "" {
		st = supervisor.Status{Phase: supervisor.PhaseError, Reason: why, Spec: spec}
	}
	s.set(st)
	return Result{Spec: spec, Connection: map[string]string{"url": fmt.Sprintf("url%d", i.Generation)}}, nil
}

func (n *fakeNode) Receive(ctx context.Context, s Receive) error {
	i := s.Instance
	n.mu.Lock()
	n.data[i.Partition] = i.ID
	n.mu.Unlock()
	s.Progress("its data comes: 1 MiB")
	return n.call(ctx, "receive %s in p%d", i.From, i.Partition)
}

func (s *fakeSupervisor) set(st supervisor.Status) {
	s.status = st
	close(s.changed)
	s.changed = make(chan struct{})
}

func (n *fakeNode) Stop(ctx context.Context, partition int) error {
	if err := n.call(ctx, "stop p%d", partition); err != nil {
		return err
	}
	n.kill(partition)
	return nil
}

// kill ends a supervisor.
func (n *fakeNode) kill(partition int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s := n.running[partition]; s != nil {
		s.gone = true
		s.set(s.status)
		delete(n.running, partition)
	}
}

func (n *fakeNode) Destroy(ctx context.Context, partition int) error {
	if err := n.call(ctx, "destroy p%d", partition); err != nil {
		return err
	}
	n.kill(partition)
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.data, partition)
	return nil
}

func (n *fakeNode) Watch(ctx context.Context, partition int, f func(supervisor.Status)) error {
	n.mu.Lock()
	s := n.running[partition]
	n.mu.Unlock()
	if s == nil {
		return supervisor.ErrNotRunning
	}
	for {
		n.mu.Lock()
		status, changed, gone := s.status, s.changed, s.gone
		n.mu.Unlock()
		if gone {
			return io.EOF
		}
		f(status)
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (n *fakeNode) Logs(context.Context, ledger.Instance, bool) (io.ReadCloser, error) {
	return nil, ErrNotHere
}

func (n *fakeNode) Exec(context.Context, ledger.Instance, supervisor.Exec) (int, error) {
	return 0, ErrNotHere
}

// run starts an agent; the returned function ends it.
func (n *fakeNode) run(t *testing.T) (stop func()) {
	t.Helper()
	return n.runOn(t, n)
}

func (n *fakeNode) runOn(tb testing.TB, host Host) (stop func()) {
	tb.Helper()
	a, err := NewAgent(Config{Source: n, Reporter: n, Host: host, Clock: time.Now})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := a.Run(ctx); err != nil {
			tb.Error(err)
		}
	}()
	return func() { cancel(); <-done }
}

func TestAgentLifeOfAnInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNode()
		n.takes["build r1"] = 3 * time.Second
		n.takes["build r2"] = 3 * time.Second
		defer n.run(t)()
		n.expect(t, "0s look", "")
		n.want(7, 0, "r1", ledger.InstanceStarted)
		time.Sleep(10 * time.Second)
		n.expect(t, "0s build r1, 3s start p0",
			"0s i7 building, 0s i7 building (downloading), 3s i7 starting, 3s i7 started url1")
		n.want(7, 0, "r1", ledger.InstanceStarted)
		n.expect(t, "0s start p0", "0s i7 starting, 0s i7 started url2")
		n.want(7, 0, "r1", ledger.InstanceStopped)
		n.expect(t, "0s stop p0", "0s i7 stopping, 0s i7 stopped")
		n.want(7, 0, "r1", ledger.InstanceStarted)
		n.expect(t, "0s start p0", "0s i7 starting, 0s i7 started url4")
		n.want(7, 0, "r2", ledger.InstanceStarted)
		time.Sleep(10 * time.Second)
		n.expect(t, "0s build r2, 3s stop p0, 3s start p0",
			"0s i7 building, 0s i7 building (downloading), 3s i7 starting, 3s i7 started url5")
		n.want(7, 0, "r1", ledger.InstanceDestroyed)
		n.expect(t, "0s destroy p0", "0s i7 stopping, 0s i7 destroyed")
		time.Sleep(time.Hour)
		n.expect(t, "", "")
	})
}

func TestAgentTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNode()
		n.trees["tree of r1"] = true
		n.fails["look"], n.fails["wanted"], n.fails["start p0"], n.fails["report"] = 2, 3, 4, 1
		n.want(7, 0, "r1", ledger.InstanceStarted)
		defer n.run(t)()
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		n.mu.Lock()
		defer n.mu.Unlock()
		starts, last := 0, ""
		for _, d := range n.done {
			if strings.HasSuffix(d, "start p0") {
				starts++
			}
		}
		for _, r := range n.told {
			_, last, _ = strings.Cut(r, " ")
		}
		if starts != 5 || last != "i7 started url1" {
			t.Errorf("%d starts, at last %q\ndone: %q\ntold: %q", starts, last, n.done, n.told)
		}
		if !slices.ContainsFunc(n.told, func(s string) bool { return strings.HasSuffix(s, "i7 error (cannot start p0)") }) {
			t.Errorf("the reason was not told: %q", n.told)
		}
	})
}

func TestAgentFindsWhatAnotherLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNode()
		n.trees["tree of r1"] = true
		stop := n.run(t)
		n.want(7, 0, "r1", ledger.InstanceStarted)
		n.expect(t, "0s look, 0s start p0", "0s i7 starting, 0s i7 started url1")
		stop()
		n.mu.Lock()
		if n.running[0] == nil {
			t.Error("the instance ended with the agent")
		}
		n.mu.Unlock()
		stop = n.run(t)
		n.expect(t, "0s look, 0s start p0", "") // the ledger knows that it is started
		stop()
		n.want(7, 0, "r1", ledger.InstanceStopped) // while no agent runs
		defer n.run(t)()
		n.expect(t, "0s look, 0s stop p0", "0s i7 stopping, 0s i7 stopped")
	})
}

// TestAgentLooksAgain: an instance whose stamp changed is looked at again, and
// stays started meanwhile. So is one that failed for good.
func TestAgentLooksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNode()
		n.trees["tree of r1"] = true
		n.want(7, 0, "r1", ledger.InstanceStarted)
		defer n.run(t)()
		n.expect(t, "0s look, 0s start p0", "0s i7 starting, 0s i7 started url1")
		look := func(stamp time.Time) {
			n.order(7, func(i *ledger.Instance) { i.Generation, i.Stamp = i.Generation-1, stamp })
		}
		look(t0)
		n.expect(t, "0s start p0", "")
		n.fails["start p0"] = 1
		look(t0.Add(time.Microsecond))
		n.expect(t, "0s start p0", "0s i7 started (cannot start p0)")
		look(t0.Add(2 * time.Microsecond))
		n.expect(t, "0s start p0", "0s i7 started url1")
		time.Sleep(time.Hour)
		n.expect(t, "", "")
	})
}

func TestAgentSupervisorDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNode()
		n.trees["tree of r1"] = true
		defer n.run(t)()
		n.want(7, 0, "r1", ledger.InstanceStarted)
		n.expect(t, "0s look, 0s start p0", "0s i7 starting, 0s i7 started url1")
		n.kill(0)
		time.Sleep(2 * time.Second)
		n.expect(t, "1s start p0", "0s i7 starting (its supervisor ended), 1s i7 started url1")
	})
}

func TestAgentStatusIsPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNode()
		n.trees["tree of r1"] = true
		defer n.run(t)()
		n.want(7, 0, "r1", ledger.InstanceStarted)
		n.expect(t, "0s look, 0s start p0", "0s i7 starting, 0s i7 started url1")
		set := func(s supervisor.Status) {
			n.mu.Lock()
			s.Spec = "spec 1"
			n.running[0].set(s)
			n.mu.Unlock()
		}
		set(supervisor.Status{Phase: supervisor.PhaseStarted, Reason: "promise answers: no"})
		n.expect(t, "", "0s i7 started (promise answers: no)")
		set(supervisor.Status{Phase: supervisor.PhaseError, Reason: "promise answers: no"})
		n.expect(t, "", "0s i7 error (promise answers: no)")
		set(supervisor.Status{Phase: supervisor.PhaseStarted, Healthy: true})
		n.expect(t, "", "0s i7 started url1")
	})
}

func TestAgentDestroyCutsAStopShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNode()
		n.trees["tree of r1"] = true
		n.takes["stop p0"] = 2 * time.Minute
		defer n.run(t)()
		n.want(7, 0, "r1", ledger.InstanceStarted)
		n.expect(t, "0s look, 0s start p0", "0s i7 starting, 0s i7 started url1")
		n.want(7, 0, "r1", ledger.InstanceStopped)
		n.expect(t, "0s stop p0", "0s i7 stopping")
		n.want(7, 0, "r1", ledger.InstanceDestroyed)
		n.expect(t, "0s stop p0: cancelled, 0s destroy p0", "0s i7 destroyed")
	})
}

func TestAgentSupplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNode()
		n.takes["build r1"], n.takes["build r2"], n.takes["build r3"] = time.Minute, time.Minute, time.Minute
		n.fails["build r3"] = 1
		defer n.run(t)()
		n.expect(t, "0s look", "")
		order := func(r ledger.ReleaseDigest, s ledger.SupplyState) {
			n.mu.Lock()
			have := n.supplies[r]
			if have.Release == "" {
				have = ledger.Supply{Release: r, State: ledger.SupplyWaiting}
			}
			have.Requested = s
			n.supplies[r] = have
			n.mu.Unlock()
			n.wake()
		}
		order("r1", ledger.SupplyAvailable)
		order("r2", ledger.SupplyAvailable)
		order("r3", ledger.SupplyAvailable)
		synctest.Wait()
		n.mu.Lock()
		if len(n.done) != 2 {
			t.Errorf("builds at once: %q", n.done)
		}
		n.mu.Unlock()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		n.mu.Lock()
		for _, r := range []ledger.ReleaseDigest{"r1", "r2", "r3"} {
			if n.supplies[r].State != ledger.SupplyAvailable {
				t.Errorf("%s is %+v", r, n.supplies[r])
			}
		}
		n.done, n.told, n.begin = nil, nil, time.Now()
		n.mu.Unlock()
		order("r1", ledger.SupplyDestroyed)
		n.expect(t, "0s drop tree of r1", "0s r1 destroyed")
		order("r1", ledger.SupplyAvailable)
		time.Sleep(time.Second)
		n.expect(t, "0s build r1", "0s r1 building, 0s r1 building downloading")
		order("r1", ledger.SupplyDestroyed)
		n.expect(t, "0s build r1: cancelled", "0s r1 destroyed")
	})
}

func TestAgentSaysAgainWhatTheLedgerDoesNotShow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNode()
		n.trees["tree of r1"] = true
		n.lags = true
		defer n.run(t)()
		n.want(7, 0, "r1", ledger.InstanceStarted)
		time.Sleep(3 * time.Second)
		n.expect(t, "0s look, 0s start p0", "0s i7 starting, 0s i7 started url1")
		time.Sleep(3 * time.Second)
		n.expect(t, "", "2s i7 started url1")
		n.mu.Lock()
		n.lags = false
		for _, show := range n.lag {
			n.showLocked(show)
		}
		n.mu.Unlock()
		time.Sleep(time.Hour)
		n.expect(t, "", "")
	})
}

func TestAgentRefusedReportHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNode()
		n.trees["tree of r1"] = true
		n.poison = 3
		defer n.run(t)()
		for p := range 5 {
			n.want(ledger.InstanceID(p+1), p, "r1", ledger.InstanceStarted)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		n.mu.Lock()
		for id, i := range n.wanted {
			if (i.State == ledger.InstanceStarted) != (id != n.poison) {
				t.Errorf("instance %s is %q", id, i.State)
			}
		}
		n.poison = 0
		n.mu.Unlock()
		time.Sleep(2 * refusedAgain)
		synctest.Wait()
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.wanted[3].State != ledger.InstanceStarted {
			t.Errorf("instance i3 is %q", n.wanted[3].State)
		}
	})
}

func TestAgentOneFailureHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNode()
		n.trees["tree of r1"] = true
		n.fails["start p0"] = 1000
		n.takes["start p1"] = time.Hour
		defer n.run(t)()
		for p := range 50 {
			n.want(ledger.InstanceID(p+1), p, "r1", ledger.InstanceStarted)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		n.mu.Lock()
		defer n.mu.Unlock()
		for p := 2; p < 50; p++ {
			if i := n.wanted[ledger.InstanceID(p+1)]; i.State != ledger.InstanceStarted {
				t.Errorf("instance in p%d is %s", p, i.State)
			}
		}
	})
}
