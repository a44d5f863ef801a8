package ledger

import (
	"fmt"
	"strings"
	"time"
)

// requester returns the account for which c asks: that of the parent, if the
// parent's computer asks or who may act for it.
func (c Request) requester(s *State, x Context) (AccountName, error) {
	if c.Parent == 0 {
		return s.ActFor(x.Principal, c.Account, RightInstances)
	}
	if err := s.needsTrees("request " + string(c.Reference)); err != nil {
		return "", err
	}
	parent, ok := s.Instance(c.Parent)
	if !ok || parent.Settled() {
		return "", refuse(ErrNotFound, "request %.80q: instance %s, which is to request it, is not known", string(c.Reference), c.Parent)
	}
	if c.Account != "" && c.Account != parent.Account {
		return "", refuse(ErrInvalid, "request %.80q: what %s requests belongs to %s, not to %s", string(c.Reference), s.Path(parent), parent.Account, c.Account)
	}
	if s.runs(x.Principal, parent) {
		return parent.Account, nil
	}
	return s.ActFor(x.Principal, parent.Account, RightInstances)
}

// runs reports whether p is the computer on which i is.
func (s *State) runs(p Principal, i Instance) bool {
	return p.Kind == PrincipalPeer && ComputerID(p.Peer) == i.Computer && p.Role != RoleUser
}

// needsTrees refuses what the rules of the mesh do not know yet.
func (s *State) needsTrees(what string) error {
	if s.knowsProjects() {
		return nil
	}
	m, _ := s.Mesh()
	return refuse(ErrUnavailable, "%s: this mesh follows rules %d, which know no trees: all voters must be upgraded first", what, m.Rules)
}

// mayEnter refuses a new instance that has no place in its tree, or whose name
// could be taken for another's.
func (c Request) mayEnter(s *State, account AccountName, release Release) error {
	if !s.knowsProjects() {
		return nil
	}
	if c.Parent == 0 {
		if other, ok := s.InstanceByReference(account, c.Reference); ok && !other.Settled() && other.Parent != 0 {
			return refuse(ErrConflict, "request %s: that is what %s calls an instance that it requested", c.Reference, s.above(other))
		}
		return nil
	}
	parent, _ := s.Instance(c.Parent)
	path := s.Path(parent) + "/" + string(c.Reference)
	switch other, taken := s.named(account, Reference(path), 0); {
	case strings.Contains(string(c.Reference), "/"):
		return refuse(ErrInvalid, "request %.80q: what an instance requests has no / in its reference", string(c.Reference))
	case taken && !other.Settled():
		return refuse(ErrConflict, "request %s: %s has an instance of that name: use another reference", path, account)
	case parent.Shared:
		return refuse(ErrInvalid, "request %s: %s is shared, and requests nothing itself", path, s.Path(parent))
	case parent.Requested == InstanceDestroyed || !parent.Kept.IsZero():
		return refuse(ErrConflict, "request %s: %s is being destroyed", path, s.Path(parent))
	case parent.leaves():
		return refuse(ErrConflict, "request %s: %s, which requests it, moves: it is %s now", path, parent.ID, parent.Moved)
	case s.descendants(parent) >= MaxTree:
		return refuse(ErrExhausted, "request %s: the tree has %d instances below its root already", path, MaxTree)
	}
	kind, err := c.typeOf(release, "")
	if err != nil {
		return err
	}
	depth := 1
	for above, ok := parent, true; ok; above, ok = s.Instance(above.Parent) {
		if !c.Shared && above.ReleaseName == release.Name && above.Type == kind {
			return refuse(ErrInvalid, "request %s: a tree cannot request itself: %s is %s of type %s as well", path, s.Path(above), release.Name, kind)
		}
		if depth++; depth > MaxTreeDepth {
			return refuse(ErrExhausted, "request %s: a tree has at most %d levels", path, MaxTreeDepth)
		}
	}
	return nil
}

// descendants counts the instances below the root of i's tree.
func (s *State) descendants(i Instance) (n int) {
	for member := range s.linked(linkMember, idKey(i.RootOf())) {
		if !member.Settled() {
			n++
		}
	}
	return n
}

// above names the parent of i.
func (s *State) above(i Instance) string {
	parent, _ := s.Instance(i.Parent)
	return s.Path(parent)
}

// enter makes i, which is new, a child.
func (i *Instance) enter(s *State, parent InstanceID) {
	if above, ok := s.Instance(parent); ok && parent != 0 {
		i.Parent, i.Root = above.ID, above.RootOf()
	}
}

// ask notes that an instance should be in a state: it is, as far as its parent
// is.
func (s *State) ask(x Context, i *Instance, state InstanceState, keep *time.Duration) {
	if state == InstanceDestroyed {
		s.end(x, i, keep)
		return
	}
	i.Kept = time.Time{}
	above := InstanceStarted
	if parent, ok := s.Instance(i.Parent); ok {
		above = parent.Requested
	}
	i.follow(state, above)
}

// follow makes i be what is asked of it, but not above the state of its
// parent. What is destroyed with its parent is not asked anything any more.
func (i *Instance) follow(asked, parent InstanceState) {
	i.Requested, i.Asked = lower(asked, parent), ""
	if i.Requested != asked && i.Requested != InstanceDestroyed {
		i.Asked = asked
	}
}

// asked returns what is asked of i, be it forbidden by its parent.
func (i Instance) asked() InstanceState {
	if i.Asked != "" {
		return i.Asked
	}
	return i.Requested
}

// lower returns the lower of two requested states.
func lower(a, b InstanceState) InstanceState {
	switch {
	case a == InstanceDestroyed || b == InstanceDestroyed:
		return InstanceDestroyed
	case a == InstanceStopped || b == InstanceStopped:
		return InstanceStopped
	}
	return InstanceStarted
}

// sameAsked reports whether nothing else is asked of i than was, but for what
// its partition has to do.
func (i Instance) sameAsked(was Instance) bool {
	return i.Asked == was.Asked && i.Scope == was.Scope && i.Retention == was.Retention && i.Kept.Equal(was.Kept)
}

// valueOr returns what p points to, or v.
func valueOr[V any](p *V, v V) V {
	if p == nil {
		return v
	}
	return *p
}

// turn returns the events that make now of was, and of all below and inside it
// what follows from that.
func (s *State) turn(x Context, was, now Instance) []Event {
	t := turning{state: s, at: x}
	t.turn(was, now)
	return t.events
}

// A turning collects what follows from changes of instances, once for each.
type turning struct {
	state  *State
	at     Context
	done   map[InstanceID]bool
	events []Event
}

func (t *turning) turn(was, now Instance) {
	if t.done[was.ID] {
		return
	}
	if t.done == nil {
		t.done = make(map[InstanceID]bool)
	}
	for _, e := range t.state.changed(t.at, was, now) {
		if id := changes(e); id == was.ID {
			t.events = append(t.events, e)
		} else if !t.done[id] { // whose data it was to take
			t.events, t.done[id] = append(t.events, e), true
		}
	}
	if was.Requested == now.Requested {
		return
	}
	t.done[was.ID] = true
	for child := range t.state.Children(now.ID) {
		if child.Settled() || child.Requested == InstanceDestroyed {
			continue
		}
		next := child
		if next.follow(child.asked(), now.Requested); next.Requested == InstanceDestroyed {
			next.Kept = time.Time{}
		}
		t.turn(child, next)
	}
	for shared := range t.state.SharedOn(now.ID) {
		t.turnShared(now, shared)
	}
}

// changes returns which instance changed.
func changes(e Event) InstanceID {
	switch e := e.(type) {
	case Changed:
		return e.Instance.ID
	case Freed:
		return e.Instance.ID
	}
	return 0
}

// turnShared says what becomes of a shared instance when its host is another:
// it waits while that is stopped, and is gone with it.
func (t *turning) turnShared(host, shared Instance) {
	switch {
	case t.done[shared.ID]:
	case host.Requested == InstanceDestroyed:
		t.done[shared.ID] = true
		t.events = append(t.events, freed(shared, t.at.At))
	case host.Requested == InstanceStopped && shared.Requested == InstanceStarted:
		t.events = append(t.events, shared.unserved(InstanceWaiting, fmt.Sprintf("%s, inside which it is, is stopped", host.ID), t.at.At))
	}
}
