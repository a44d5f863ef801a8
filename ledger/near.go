package ledger

import (
	"iter"
	"maps"
	"slices"
	"strings"
)

// Instances of one tree, and those of one project, may reach one another
// wherever they run. So a computer that has one of them is shown where the
// others are, and they let it in: it is near to them.

// linkNear is the link of an instance to the computer that it is on, by what
// is near to one another. The root of a tree is found without.
const linkNear = "near" // tree or project + computer, instance

// nearby names what i is near to as a part of a key: its project, or its tree.
func (s *State) nearby(i Instance) string {
	if s.isProject(i.Account) {
		return "p" + string(i.Account) + "\x00"
	}
	return "t" + idKey(i.RootOf())
}

// isProject reports whether an account is a project.
func (s *State) isProject(account AccountName) bool {
	if s.later == nil {
		a, _ := s.Account(account)
		return a.Kind == KindProject
	}
	is, known := s.later.project[account] // a million rows of a few accounts
	if !known {
		a, _ := s.Account(account)
		is = a.Kind == KindProject
		s.later.project[account] = is
	}
	return is
}

// nearKey is where i is found by what it is near to; none for a root.
func (s *State) nearKey(i Instance) (k Key, ok bool) {
	near := s.nearby(i)
	if i.ID == 0 || i.Settled() || near[0] == 't' && i.Parent == 0 {
		return k, false
	}
	return Key{A: linkNear, B: near + string(i.Computer), N: uint64(i.ID)}, true
}

// Near reports whether a computer has an instance of i's tree, or of its
// project: then it may reach i, as far as that publishes ports.
func (s *State) Near(computer ComputerID, i Instance) bool {
	return !i.Settled() && s.nearBut(computer, i, 0)
}

// nearBut is Near, not counting one instance.
func (s *State) nearBut(computer ComputerID, i Instance, but InstanceID) bool {
	near := s.nearby(i)
	if root, ok := s.Instance(i.RootOf()); ok && near[0] == 't' && root.ID != but && root.Computer == computer && !root.Settled() {
		return true
	}
	for k := range s.links.From(Key{A: linkNear, B: near + string(computer)}) {
		if k.A != linkNear || k.B != near+string(computer) {
			return false
		}
		if k.N != uint64(but) {
			return true
		}
	}
	return false
}

// Neighbours iterates over the instances that those of a computer may reach,
// themselves included: all of their trees and projects, and of those of what is
// shared inside them.
func (s *State) Neighbours(computer ComputerID) iter.Seq[Instance] {
	return func(yield func(Instance) bool) {
		done := map[string]bool{}
		for i := range s.placedOn(computer) {
			near := s.nearby(i)
			if done[near] {
				continue
			}
			done[near] = true
			for mate := range s.mates(i) {
				if !mate.Settled() && !yield(mate) {
					return
				}
			}
		}
	}
}

// mates iterates over the instances of i's tree, or project.
func (s *State) mates(i Instance) iter.Seq[Instance] {
	if strings.HasPrefix(s.nearby(i), "p") {
		return s.Instances(i.Account)
	}
	return s.Tree(i)
}

// Sight returns what a computer near to i is shown of it: where it is, and
// what may be reached.
func (i Instance) Sight() Instance {
	return Instance{
		ID: i.ID, Account: i.Account, Reference: i.Reference, Parent: i.Parent, Root: i.Root, Shared: i.Shared, Host: i.Host,
		Requested: i.Requested, Computer: i.Computer, Partition: i.Partition, Address: i.Address, Ports: i.Ports, UDP: i.UDP, Created: i.Created,
	}
}

// sameSight reports whether those near see no difference.
func sameSight(was, now Instance) bool {
	return was.ID == now.ID && was.Settled() == now.Settled() && was.name() == now.name() && was.Host == now.Host && was.Requested == now.Requested &&
		was.Computer == now.Computer && was.Partition == now.Partition && was.Address == now.Address && maps.Equal(was.Ports, now.Ports) && slices.Equal(was.UDP, now.UDP)
}

// renear keeps up on which computers an instance is, and remembers for those
// near to it that it changed, and for its computer that it is near to others
// now, or no more.
func (s *State) renear(was, now Instance) {
	before, had := s.nearKey(was)
	after, has := s.nearKey(now)
	if had && before != after {
		s.links.Delete(before)
	}
	if has && before != after {
		s.links.Set(after, now.ID)
	}
	if s.partial || s.later != nil {
		return // nobody is shown a part of a part
	}
	if sameSight(was, now) {
		return
	}
	i := now
	if now.ID == 0 {
		i = was
	}
	for c := range s.computersNear(i) {
		s.noteFor(i, c)
	}
	moved := was.Computer != now.Computer || was.Settled() != now.Settled()
	for _, x := range []Instance{was, now} {
		if x.ID == 0 || x.Settled() || !moved || s.nearBut(x.Computer, x, x.ID) {
			continue
		}
		for mate := range s.mates(x) {
			s.noteFor(mate, x.Computer)
		}
	}
}

// noteFor remembers that a computer may be shown i otherwise than before.
func (s *State) noteFor(i Instance, computer ComputerID) {
	if i.Computer != computer && computer != "" {
		s.changes = append(s.changes, Change{tableInstances, Key{N: uint64(i.ID)}, i.Account, computer})
	}
}

// computersNear iterates over the computers near to i.
func (s *State) computersNear(i Instance) iter.Seq[ComputerID] {
	near := s.nearby(i)
	return func(yield func(ComputerID) bool) {
		if root, ok := s.Instance(i.RootOf()); ok && near[0] == 't' && !root.Settled() && !yield(root.Computer) {
			return
		}
		for at := near; ; {
			next, found := s.nextNear(at)
			if !found || !strings.HasPrefix(next, near) || !yield(ComputerID(next[len(near):])) {
				return
			}
			at = next + "\x00"
		}
	}
}

// nextNear returns the first key of a link at or after one.
func (s *State) nextNear(at string) (string, bool) {
	for k := range s.links.From(Key{A: linkNear, B: at}) {
		return k.B, k.A == linkNear
	}
	return "", false
}
