package ledger

import (
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/slapmesh/slapmesh/ledger/placement"
)

// A shared instance is a place inside another instance, its host, which runs
// the same release: a database on a server, a site on a front end. It holds
// no partition and no address: those that it has are its host's, and so is its
// computer, which sees it and reports on it.

// filterHost is the key of a filter that names the host.
const filterHost = "instance"

// The kinds of links of shared instances, and of those that ended.
const (
	linkShared = "shared" // host, shared instance
	linkGone   = "gone"   // host, shared instance that was destroyed lately
	linkEnded  = "ended"  // computer, instance that was destroyed lately
	linkOpen   = "open"   // name of a release, host that takes anyone's
)

// SharedOn iterates over the shared instances inside one, by id.
func (s *State) SharedOn(id InstanceID) iter.Seq[Instance] {
	return s.linked(linkShared, idKey(id))
}

// GoneFrom iterates over the shared instances that were inside one and were
// destroyed lately, by id: what the host has of them is to go.
func (s *State) GoneFrom(id InstanceID) iter.Seq[Instance] {
	return s.linked(linkGone, idKey(id))
}

// EndedOn iterates over the instances that held a partition of a computer and
// were destroyed lately, by id: if it has anything of them, for it was away when
// they ended, that is to go.
func (s *State) EndedOn(computer ComputerID) iter.Seq[Instance] {
	return s.linked(linkEnded, string(computer))
}

// placedOn iterates over the instances of a computer: those that hold a
// partition, each followed by those inside it.
func (s *State) placedOn(computer ComputerID) iter.Seq[Instance] {
	return func(yield func(Instance) bool) {
		for i := range s.InstancesOn(computer) {
			if !yield(i) {
				return
			}
			for shared := range s.SharedOn(i.ID) {
				if !yield(shared) {
					return
				}
			}
		}
	}
}

// checkShared refuses what a shared instance cannot be asked for, and what no
// other can.
func (c Request) checkShared(s *State) error {
	if (c.Shared || c.Scope != "" || c.Keep != nil) && !s.knowsProjects() {
		return refuse(ErrUnavailable, "request %s: no release of this mesh offers shared instances", c.Reference)
	}
	switch {
	case c.Scope != "" && c.Scope != ScopePersonal && c.Scope != ScopePublic:
		return refuse(ErrInvalid, "request %s: scope %.20q: personal or public expected", c.Reference, string(c.Scope))
	case c.Shared && c.Scope != "":
		return refuse(ErrInvalid, "request %s: a shared instance holds no others, so it has no scope", c.Reference)
	case c.Shared && (c.Needs != (Needs{}) || !c.Affinity.IsZero() || c.MaxPrice != 0 && !s.follows(RulesOfGroups)):
		return refuse(ErrInvalid, "request %s: a shared instance needs nothing of a computer: its host does", c.Reference)
	}
	return checkKeep("request "+string(c.Reference), c.Keep)
}

// share makes now, which is new, a part of a host.
func (c Request) share(s *State, now *Instance) (Computer, error) {
	filter, named := c.hostFilter()
	expr, err := where(c.Where)
	if err != nil {
		return Computer{}, err
	}
	release, _ := s.Release(c.Release)
	var tried rejected
	for host := range s.hosts(now.Account, now.ReleaseName, named) {
		why := c.unfit(s, host, *now, release)
		if why == "" && c.MaxPrice != 0 && host.Account != now.Account && priceOf(s.PlaceRates(host.Account, host.ReleaseName, now.Created), Needs{}) > c.MaxPrice {
			why = "too dear"
		}
		if why == "" {
			if ok, _ := s.places.Meets(string(host.Computer), placement.Want{Filter: filter, Expr: expr}); !ok {
				why = "on a computer that the filter excludes"
			}
		}
		if why != "" {
			if tried.add(why); tried.all == MaxHostsTried {
				break
			}
			continue
		}
		now.Host, now.Computer, now.Partition, now.Release = host.ID, host.Computer, host.Partition, host.Release
		if s.follows(RulesOfGroups) {
			now.Address = host.Address // where it is reached, also by those who do not see the host
		}
		computer, _ := s.Computer(host.Computer)
		return computer, nil
	}
	if named != "" && tried.all == 0 {
		return Computer{}, refuse(ErrNotFound, "request %s: instance %s, which is to hold it, is not known", c.Reference, named)
	}
	return Computer{}, refuse(ErrExhausted, "no host for %s: %s: request one (slapd request %s NAME), or ask an owner to open theirs (--scope public)", c.Reference, tried, now.ReleaseName)
}

// hostFilter returns the filter of the computer, and the host that it names.
func (c Request) hostFilter() (filter map[string]string, named string) {
	filter = maps.Clone(c.Filter)
	named = filter[filterHost]
	delete(filter, filterHost)
	return filter, named
}

// hosts iterates over the instances that may hold a shared one of an account:
// the one that is named, or the account's own, of which the first
// [MaxHostsLook] are looked at, and then those that take anyone's.
func (s *State) hosts(account AccountName, release, named string) iter.Seq[Instance] {
	return func(yield func(Instance) bool) {
		if named != "" {
			i, ok := s.InstanceByReference(account, Reference(named))
			if !ok || i.Settled() {
				i, ok = s.InstanceByID(named)
			}
			if ok && !i.Settled() {
				yield(i)
			}
			return
		}
		n := 0
		for i := range s.Instances(account) {
			if n++; n > MaxHostsLook {
				break
			}
			if !i.Settled() && !i.Shared && i.ReleaseName == release && !yield(i) {
				return
			}
		}
		for i := range s.linked(linkOpen, release) {
			if i.Account != account && !yield(i) {
				return
			}
		}
	}
}

// unfit says why an instance cannot hold a new shared one. Whether it has
// another release of the name matters only if one was named.
func (c Request) unfit(s *State, host, shared Instance, release Release) string {
	runs, _ := s.Release(host.Release)
	computer, _ := s.Computer(host.Computer)
	switch {
	case host.Shared:
		return "shared themselves"
	case host.Account != shared.Account && host.Scope != ScopePublic:
		return "not open to others"
	case runs.Name != release.Name || runs.Publisher != release.Publisher || c.Pinned && host.Release != c.Release:
		return "with another release"
	case host.Type != shared.Type:
		return "of another type"
	case host.Requested != InstanceStarted:
		return "not started"
	case host.leaves():
		return "moving"
	case computer.State != ComputerOnline:
		return "on a computer that does not answer"
	case computer.Drained:
		return "on a drained computer"
	case s.inside(host.ID, shared.Parent):
		return "above it in its own tree"
	case s.countShared(host.ID) >= MaxShared:
		return "full"
	}
	return ""
}

// inside reports whether id is an instance or one of those above it.
func (s *State) inside(id, below InstanceID) bool {
	for i, ok := s.Instance(below); ok; i, ok = s.Instance(i.Parent) {
		if i.ID == id {
			return true
		}
	}
	return false
}

func (s *State) countShared(host InstanceID) (n int) {
	for range s.SharedOn(host) {
		n++
	}
	return n
}

// rejected counts hosts that will not do, by reason.
type rejected struct {
	counts map[string]int
	all    int
}

func (r *rejected) add(why string) {
	if r.counts == nil {
		r.counts = make(map[string]int)
	}
	r.counts[why]++
	r.all++
}

func (r rejected) String() string {
	text := fmt.Sprintf("%d instances of the release", r.all)
	if r.all == 1 {
		text = "1 instance of the release"
	}
	for n, why := range sortedKeys(r.counts) {
		text += map[bool]string{true: ": ", false: ", "}[n == 0]
		text += fmt.Sprintf("%d %s", r.counts[why], why)
	}
	return text
}

// refilterShared notes what the host of a shared instance must be from now on,
// if it is that.
func (c Request) refilterShared(s *State, was, now Instance) error {
	filter, named := Request{Filter: now.Filter}.hostFilter()
	expr, err := where(now.Where)
	if err != nil {
		return err
	}
	fits, _ := s.places.Meets(string(was.Computer), placement.Want{Filter: filter, Expr: expr})
	for host := range s.hosts(was.Account, was.ReleaseName, named) {
		if named != "" {
			fits = fits && host.ID == was.Host
		}
		break
	}
	if !fits {
		return refuse(ErrConflict, "request %s: it is inside %s, which the new filter excludes: destroy it and request it again", c.Reference, was.Host)
	}
	return nil
}

// sameOutside reports whether the host of a shared instance sees no
// difference between what it was and what it is.
func sameOutside(was, now Instance) bool {
	return was.Settled() == now.Settled() && was.Host == now.Host && was.Requested == now.Requested &&
		was.Reference == now.Reference && was.Type == now.Type && sameParameters(was.Parameters, now.Parameters)
}

// recordHost brings the shared instances of a host along when it has another
// release.
func (s *State) recordHost(was, now Instance) {
	if was.Release == now.Release || was.ID == 0 {
		return
	}
	for _, i := range collect(s.SharedOn(now.ID)) {
		i.Release = now.Release
		s.setInstance(i)
	}
}

// unserved returns the event by which a shared instance is not what it should
// be, for a reason.
func (i Instance) unserved(state InstanceState, reason string, at time.Time) Event {
	i.State, i.Healthy, i.Reason, i.Changed = state, false, reason, at
	return Observed{i, false}
}
