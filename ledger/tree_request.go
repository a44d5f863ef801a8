package ledger

import (
	"strings"
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
	case parent.Requested == InstanceDestroyed:
		return refuse(ErrConflict, "request %s: %s is being destroyed", path, s.Path(parent))
	case s.descendants(parent) >= MaxTree:
		return refuse(ErrExhausted, "request %s: the tree has %d instances below its root already", path, MaxTree)
	}
	kind, err := c.typeOf(release, "")
	if err != nil {
		return err
	}
	depth := 1
	for above, ok := parent, true; ok; above, ok = s.Instance(above.Parent) {
		if above.ReleaseName == release.Name && above.Type == kind {
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
func (s *State) ask(i *Instance, state InstanceState) {
	i.Requested, i.Asked = state, ""
	if i.Parent == 0 {
		return
	}
	parent, _ := s.Instance(i.Parent)
	i.follow(state, parent.Requested)
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

// turn returns the events that make now of was, and of all below it what
// follows from that.
func (s *State) turn(x Context, was, now Instance) []Event {
	events := s.changed(x, was, now)
	if was.Requested == now.Requested {
		return events
	}
	for child := range s.Children(now.ID) {
		if child.Settled() || child.Requested == InstanceDestroyed {
			continue
		}
		next := child
		next.follow(child.asked(), now.Requested)
		events = append(events, s.turn(x, child, next)...)
	}
	return events
}
