package ledger

import (
	"fmt"
	"strings"
)

// Rename gives an instance another name. What it requested keeps its own, and
// is found below the new one.
type Rename struct {
	Instance InstanceID `cbor:"1,keyasint"`
	To       Reference  `cbor:"2,keyasint"` // without what is above it
}

// Kind returns "rename".
func (Rename) Kind() string { return "rename" }

func (c Rename) decide(s *State, x Context) ([]Event, error) {
	was, err := s.ofCaller(x, c.Instance, "rename")
	if err != nil {
		return nil, err
	}
	if err := checkName("new reference", string(c.To), MaxReference); err != nil {
		return nil, err
	}
	now := was
	now.Reference, now.Changed = c.To, x.At
	path := s.Path(now)
	switch other, taken := s.InstanceByReference(was.Account, Reference(path)); {
	case now.Reference == was.Reference:
		return nil, nil
	case was.Parent != 0 && strings.Contains(string(c.To), "/"):
		return nil, refuse(ErrInvalid, "rename %s: what an instance requests has no / in its reference", s.Path(was))
	case taken && !other.Settled():
		return nil, refuse(ErrConflict, "rename %s: %s is another instance of %s: rename or destroy that first", s.Path(was), path, was.Account)
	case s.shadowed(now):
		return nil, refuse(ErrConflict, "rename %s: what it requested would be called as other instances of %s are: rename or destroy those first", s.Path(was), was.Account)
	case was.Requested == InstanceDestroyed:
		return nil, refuse(ErrConflict, "rename %s: it is being destroyed", s.Path(was))
	}
	return []Event{Renamed{now, was.Reference}}, nil
}

// shadowed reports whether a root may be called as something below i is.
func (s *State) shadowed(i Instance) bool {
	below := s.Path(i) + "/"
	for k := range s.references.From(Key{A: string(i.Account), B: below}) {
		if k.A != string(i.Account) || !strings.HasPrefix(k.B, below) {
			return false
		}
		for range s.Children(i.ID) {
			return k.N == 0
		}
	}
	return false
}

// ofCaller returns the instance of that id, if who asks may change it.
func (s *State) ofCaller(x Context, id InstanceID, what string) (Instance, error) {
	if err := s.needsTrees(what); err != nil {
		return Instance{}, err
	}
	i, ok := s.Instance(id)
	if !ok || i.Settled() {
		return i, refuse(ErrNotFound, "%s: instance %s is not known", what, id)
	}
	if i.leaves() {
		return i, refuse(ErrConflict, "%s: instance %s moves: it is %s now", what, id, i.Moved)
	}
	_, err := s.ActFor(x.Principal, i.Account, RightInstances)
	return i, err
}

// Renamed says that an instance has another name.
type Renamed struct {
	Instance Instance
	From     Reference
}

func (e Renamed) String() string {
	return fmt.Sprintf("renamed %s of %s to %s", e.From, e.Instance.Account, e.Instance.Reference)
}

func (e Renamed) kind() string { return "renamed" }

func (e Renamed) about() subject { return e.Instance.subject() }

func (e Renamed) evolve(s *State) { s.record(e.Instance) }

// Bang has every instance of a tree looked at again, now. The account may
// ask for it, and the computer on which the instance is that noticed
// something.
type Bang struct {
	Instance InstanceID `cbor:"1,keyasint"`
	Message  string     `cbor:"2,keyasint,omitempty"`
}

// Kind returns "bang".
func (Bang) Kind() string { return "bang" }

func (c Bang) decide(s *State, x Context) ([]Event, error) {
	i, err := s.ofCaller(x, c.Instance, "bang")
	by := string(x.Principal.Account)
	if there, ok := s.Instance(c.Instance); CodeOf(err) == ErrForbidden && ok && s.runs(x.Principal, there) {
		computer, _ := s.Computer(there.Computer)
		i, by, err = there, computer.title(), nil
	}
	if err != nil {
		return nil, err
	}
	if err := checkText("bang: message", c.Message, MaxReason); err != nil {
		return nil, err
	}
	return []Event{Banged{i, by, c.Message}}, nil
}

// Banged says that all instances of a tree are to be looked at again.
type Banged struct {
	Instance Instance // where it began
	By       string
	Message  string
}

func (e Banged) String() string {
	text := fmt.Sprintf("banged %s of %s by %s", e.Instance.Reference, e.Instance.Account, e.By)
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

func (e Banged) kind() string { return "banged" }

func (e Banged) about() subject { return e.Instance.subject() }

func (e Banged) evolve(s *State) {
	for _, i := range collect(s.Tree(e.Instance)) {
		s.touch(i.ID)
	}
}
