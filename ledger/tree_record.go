package ledger

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// record stores an instance that an event changed, and stamps those who can
// see what changed of it.
func (s *State) record(i Instance) {
	if !s.knowsProjects() {
		s.setInstance(i)
		return
	}
	was, known := s.Instance(i.ID)
	i.Stamp = was.Stamp // later than what the event was made of, perhaps
	if host, ok := s.Instance(i.Host); ok && !i.Settled() {
		i.Release = host.Release // newer, perhaps, by the event before
	}
	if !known || !sameInside(was, i) {
		i.Stamp = stampAfter(i.Stamp, s.counters.At)
	}
	s.setInstance(i)
	s.recordHost(was, i)
	if i.Parent != 0 && !maps.Equal(was.Connection, i.Connection) {
		s.touch(i.Parent)
	}
	if i.Host != 0 && !sameOutside(was, i) {
		s.touch(i.Host)
	}
}

// sameInside reports whether an instance sees no difference between what it
// was and what it is.
func sameInside(was, now Instance) bool {
	return was.Requested == now.Requested && was.Release == now.Release && was.Type == now.Type &&
		was.Reference == now.Reference && was.Computer == now.Computer && was.Partition == now.Partition &&
		was.Address == now.Address && sameParameters(was.Parameters, now.Parameters)
}

func sameParameters(a, b map[string]json.RawMessage) bool {
	return maps.EqualFunc(a, b, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })
}

// touch stamps an instance: its computer looks at it again.
func (s *State) touch(id InstanceID) {
	i, ok := s.Instance(id)
	if !ok || i.Settled() {
		return
	}
	i.Stamp = stampAfter(i.Stamp, s.counters.At)
	s.setInstance(i)
}

// relink keeps up where i, which was was, is found by links, and tells those
// who see it beside its account and computer.
func (s *State) relink(was, i Instance) {
	before, after := was.links(), i.links()
	if !slices.Equal(before, after) {
		for _, k := range before {
			s.links.Delete(k)
		}
		for _, k := range after {
			s.links.Set(k, i.ID)
		}
	}
	s.noteRequester(was)
	if was.Parent != i.Parent {
		s.noteRequester(i)
	}
}

// unlink forgets where i is found by links.
func (s *State) unlink(i Instance) {
	for _, k := range i.links() {
		s.links.Delete(k)
	}
	s.noteRequester(i)
}

// noteRequester remembers that the row of i changed for the computer of the
// instance that requested it.
func (s *State) noteRequester(i Instance) {
	if i.Parent == 0 || s.loading != nil {
		return
	}
	if parent, ok := s.Instance(i.Parent); ok && parent.Computer != i.Computer {
		s.changes = append(s.changes, Change{tableInstances, Key{N: uint64(i.ID)}, i.Account, parent.Computer})
	}
}

// Outline returns what those see of an instance that requested it, or inside
// which it is: not where it may be placed, and why.
func (i Instance) Outline() Instance {
	return Instance{
		ID: i.ID, Account: i.Account, Reference: i.Reference, Parent: i.Parent, Root: i.Root,
		Release: i.Release, ReleaseName: i.ReleaseName, Type: i.Type, Parameters: i.Parameters, Shared: i.Shared, Host: i.Host,
		Requested: i.Requested, Asked: i.Asked, State: i.State, Reason: i.Reason, Healthy: i.Healthy,
		Computer: i.Computer, Partition: i.Partition, Address: i.Address, Connection: i.Connection, Ports: i.Ports, UDP: i.UDP,
		Generation: i.Generation, Stamp: i.Stamp, Created: i.Created, Changed: i.Changed,
	}
}

// requestedFrom reports whether the instance that requested i is on a
// computer.
func (s *State) requestedFrom(i Instance, computer ComputerID) bool {
	parent, ok := s.Instance(i.Parent)
	return i.Parent != 0 && ok && parent.Computer == computer
}
