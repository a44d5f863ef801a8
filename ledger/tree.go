package ledger

import (
	"encoding/binary"
	"iter"
	"strconv"
	"strings"
	"time"
)

// An instance may request others: its children. They belong to its account,
// and are named within it: "shop/db" is what the instance shop calls db. A
// root, which somebody requested, and all below it are a tree.
//
// What is requested of a child is never above what is requested of its parent
// (started, then stopped, then destroyed): a parent that stops takes its
// children along, and one that starts again gives back what was asked of them.

// The kinds of links.
const (
	linkChild  = "child"
	linkMember = "member" // of a tree, but for its root
)

// links lists where i is found but by name, partition and address.
func (i Instance) links() (keys []Key) {
	add := func(kind, to string) { keys = append(keys, Key{A: kind, B: to, N: uint64(i.ID)}) }
	if i.Parent != 0 {
		add(linkChild, idKey(i.Parent))
		add(linkMember, idKey(i.Root))
	}
	if i.Settled() {
		if i.Host != 0 {
			add(linkGone, idKey(i.Host))
		} else {
			add(linkEnded, string(i.Computer))
		}
		return keys
	}
	if i.Host != 0 {
		add(linkShared, idKey(i.Host))
	}
	if i.Scope == ScopePublic {
		add(linkOpen, i.ReleaseName)
	}
	if !i.Kept.IsZero() {
		keys = append(keys, keptKey(i.Kept, i.ID))
	}
	return keys
}

// idKey returns an id as a part of a key.
func idKey(id InstanceID) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(id)))
}

// linked iterates over the instances that are found under a link.
func (s *State) linked(kind, to string) iter.Seq[Instance] {
	return func(yield func(Instance) bool) {
		for k, id := range s.links.From(Key{A: kind, B: to}) {
			if k.A != kind || k.B != to {
				return
			}
			if i, ok := s.Instance(id); ok && !yield(i) {
				return
			}
		}
	}
}

// Children iterates over the instances that one requested, by id, those
// included that were destroyed lately.
func (s *State) Children(id InstanceID) iter.Seq[Instance] { return s.linked(linkChild, idKey(id)) }

// RootOf returns the id of the first instance of i's tree.
func (i Instance) RootOf() InstanceID {
	if i.Root != 0 {
		return i.Root
	}
	return i.ID
}

// Tree iterates over the instances of the tree in which i is, the root first
// and the others by id, those included that were destroyed lately.
func (s *State) Tree(i Instance) iter.Seq[Instance] {
	return func(yield func(Instance) bool) {
		if root, ok := s.Instance(i.RootOf()); ok && !yield(root) {
			return
		}
		for member := range s.linked(linkMember, idKey(i.RootOf())) {
			if !yield(member) {
				return
			}
		}
	}
}

// Path returns what people call i: its reference, led by those of the
// instances above it, as in "shop/db". An instance above it that has lost its
// name, or that a slice does not show, is called by its id.
func (s *State) Path(i Instance) string {
	if i.Parent == 0 {
		return string(i.Reference)
	}
	parent, _ := s.Instance(i.Parent)
	if found, ok := s.named(parent.Account, parent.Reference, parent.Parent); !ok || found.ID != i.Parent {
		return i.Parent.String() + "/" + string(i.Reference)
	}
	return s.Path(parent) + "/" + string(i.Reference)
}

// InstanceByReference returns the instance that an account calls so, or the
// one that it called so before it was destroyed, while that is remembered. A
// child is called by its path, and any instance also by its id, as in "i12".
func (s *State) InstanceByReference(account AccountName, ref Reference) (Instance, bool) {
	var dead Instance
	for i := range s.called(account, string(ref)) {
		if !i.nameless() {
			return i, true
		}
		if dead.ID == 0 {
			dead = i
		}
	}
	return dead, dead.ID != 0
}

// called iterates over the instances that a path may mean, the likeliest
// first.
func (s *State) called(account AccountName, path string) iter.Seq[Instance] {
	return func(yield func(Instance) bool) {
		if i, ok := s.named(account, Reference(path), 0); ok && !yield(i) || !s.knowsProjects() {
			return
		}
		if above, last, ok := cutLast(path); ok {
			for parent := range s.called(account, above) {
				if i, ok := s.named(account, Reference(last), parent.ID); ok && !yield(i) {
					return
				}
			}
		}
		if i, ok := s.InstanceByID(path); ok && i.Account == account {
			yield(i)
		}
	}
}

// cutLast cuts a path before its last part.
func cutLast(path string) (above, last string, ok bool) {
	n := strings.LastIndexByte(path, '/')
	if n <= 0 || n == len(path)-1 {
		return "", "", false
	}
	return path[:n], path[n+1:], true
}

// InstanceByID returns the instance of an id such as "i12".
func (s *State) InstanceByID(text string) (Instance, bool) {
	digits, ok := strings.CutPrefix(text, "i")
	n, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil || InstanceID(n).String() != text {
		return Instance{}, false
	}
	return s.Instance(InstanceID(n))
}

// Child returns the instance that one calls so which requested it, be it
// destroyed.
func (s *State) Child(parent InstanceID, ref Reference) (Instance, bool) {
	above, ok := s.Instance(parent)
	if !ok {
		return Instance{}, false
	}
	i, ok := s.named(above.Account, ref, parent)
	return i, ok
}

// named returns the instance of an account that its parent, or the account if
// that is 0, calls so: one that is there, else the last that was destroyed.
func (s *State) named(account AccountName, ref Reference, parent InstanceID) (Instance, bool) {
	name := Key{A: string(account), B: string(ref), N: uint64(parent)}
	if id, ok := s.references.Get(name); ok {
		return s.Instance(id)
	}
	var last InstanceID
	grave := buriedKey(name, 0)
	for k, id := range s.buried.From(grave) {
		if k.A != grave.A || k.B != grave.B {
			break
		}
		last = id
	}
	return s.Instance(last)
}

// Instances iterates over the instances of an account by reference, then over
// those that were destroyed lately and whose name no other has taken (see
// [Instance.Settled]).
func (s *State) Instances(account AccountName) iter.Seq[Instance] {
	return func(yield func(Instance) bool) {
		for k, id := range s.references.From(Key{A: string(account)}) {
			if k.A != string(account) {
				break
			}
			if i, ok := s.Instance(id); ok && !yield(i) {
				return
			}
		}
		for k, id := range s.buried.From(Key{A: string(account)}) {
			if k.A != string(account) {
				return
			}
			i, ok := s.Instance(id)
			if last, _ := s.named(i.Account, i.Reference, i.Parent); ok && last.ID == id && !yield(i) {
				return
			}
		}
	}
}

// nameless reports whether another instance may have the name of i: it was
// destroyed, or moved.
func (i Instance) nameless() bool { return i.Settled() || i.Moved != 0 }

// name returns where i is found in State.references.
func (i Instance) name() Key {
	return Key{A: string(i.Account), B: string(i.Reference), N: uint64(i.Parent)}
}

// buriedKey returns where a destroyed instance of a name is found.
func buriedKey(name Key, id InstanceID) Key {
	return Key{A: name.A, B: name.B + "\x00" + idKey(InstanceID(name.N)), N: uint64(id)}
}

// Order tells one wish for what a partition should be from the next: it rises
// whenever the instance has to be looked at again.
func (i Instance) Order() uint64 {
	if i.Stamp.IsZero() {
		return i.Generation
	}
	return uint64(i.Stamp.UnixMicro())
}

// stampAfter returns the next stamp after one.
func stampAfter(was, at time.Time) time.Time {
	if at = at.Truncate(time.Microsecond); at.After(was) {
		return at
	}
	return was.Add(time.Microsecond)
}
