package partition

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// An Inventory is what was found on the computer. It may be out of date by
// the time it is used, so every [Step] must be harmless when repeated.
type Inventory struct {
	Places   map[int]Place                  // partitions that are not empty
	Releases map[ledger.ReleaseDigest]Shelf // what is known of releases
}

// A Place is what is known of one partition.
type Place struct {
	// Instance is whose data the partition's folder holds; zero if nobody
	// wrote that down, for then nothing was put there yet.
	Instance ledger.InstanceID

	// Running says that a supervisor is there, which was launched with the
	// tree of Release.
	Running bool
	Release ledger.ReleaseDigest

	// Applied is the order ([ledger.Instance.Order]) that this agent gave the
	// supervisor last, and Generation that of the instance then; zero if it
	// gave none since it took hold of it.
	Applied    uint64
	Generation uint64

	// Spec is the hash of what Applied came to. A Status of another Spec is
	// late.
	Spec string

	// Status is what the supervisor said last; nil before it said anything.
	Status *supervisor.Status

	// Connection, Ports and UDP, the names of ports of UDP, are what Applied
	// publishes.
	Connection map[string]string
	Ports      map[string]uint16
	UDP        []string

	// Shared is what it makes of the shared instances inside; nil if the
	// release serves none.
	Shared map[ledger.InstanceID]release.Served

	// Requests are the instances that it needs, as Applied came to, and Lacks
	// those of them that had published nothing then. Asking says that they are
	// being requested; Asked is when that succeeded last.
	Requests []release.Request
	Lacks    []string
	Asking   bool
	Asked    time.Time
	Ask      Trial

	// Tried is what was started last, Good what was started once with all
	// promises held, and Failed what was to take its place and could not.
	Tried, Good Good
	Failed      Failure

	// From is the instance whose data was taken over here, and Progress how far
	// that is while it goes on.
	From     ledger.InstanceID
	Progress string

	Busy  bool // a step is under way
	Trial Trial
	Lost  time.Time // since when nobody wants it; zero if somebody does
}

// A Shelf is what is known of one release.
type Shelf struct {
	Tree     string // where it was built; empty if it was not
	Busy     bool   // it is being built or removed
	Progress string
	Trial    Trial
}

// A Trial counts failures of something that is tried until it works.
type Trial struct {
	Failures  int // since it worked last
	Why       string
	Permanent bool      // trying again cannot help, only a change
	For       uint64    // the order that failed
	Next      time.Time // when to try again
}

// orphanGrace is how long an instance that the ledger does not know is left
// alone: the ledger's word may be late.
const orphanGrace = 5 * time.Minute

// fail returns t after one more failure at now.
func (t Trial) fail(now time.Time, order uint64, err error) Trial {
	if t.For != order {
		t = Trial{For: order}
	}
	t.Failures++
	t.Why = err.Error()
	t.Permanent = permanent(err)
	t.Next = now.Add(backoff(t.Failures))
	return t
}

// ready says whether it may be tried, for the order, at now.
func (t Trial) ready(now time.Time, order uint64) bool {
	return t.Failures == 0 || t.For != order || !now.Before(t.Next)
}

// hopeless says whether the failure should be shown as an error: it is
// permanent, or happened too often to be a passing nuisance.
func (t Trial) hopeless() bool { return t.Permanent || t.Failures >= 3 }

// backoff is how long to wait after so many failures: from a second doubling
// to ten minutes, spread so that computers that failed together do not come
// back together.
func backoff(failures int) time.Duration {
	d := 10 * time.Minute
	if failures < 11 {
		d = min(d, time.Second<<max(0, failures-1))
	}
	return d*4/5 + rand.N(d*2/5)
}

// Places returns what is known of the partitions of this computer, by number.
// It waits until the agent, which must run, has a moment.
func (a *Agent) Places(ctx context.Context) (map[int]Place, error) {
	places := make(chan map[int]Place, 1)
	select {
	case a.events <- func() { places <- maps.Clone(a.have.Places) }:
	case <-a.ended:
		return nil, errors.New("partitions: the agent has ended")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case out := <-places:
		return out, nil
	case <-a.ended:
		return nil, errors.New("partitions: the agent has ended")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
