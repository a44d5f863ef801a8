package ledger

import (
	"maps"
	"time"
)

// Offer describes the computer of the peer that asks. It replaces what the
// computer said of itself before. A computer that offers fewer partitions
// than are held keeps those that are held until they are free.
type Offer struct {
	Partitions int               `cbor:"1,keyasint"`
	Scope      Scope             `cbor:"2,keyasint,omitempty"` // default open; before rules 4, group
	Labels     map[string]string `cbor:"3,keyasint,omitempty"`
	Grade      string            `cbor:"4,keyasint,omitempty"`
	Arch       string            `cbor:"5,keyasint,omitempty"`
	Host       string            `cbor:"6,keyasint,omitempty"`
	Name       string            `cbor:"7,keyasint,omitempty"`  // default the peer's
	Cores      uint32            `cbor:"8,keyasint,omitempty"`  // thousandths of a core
	Memory     int64             `cbor:"9,keyasint,omitempty"`  // bytes
	Disk       int64             `cbor:"10,keyasint,omitempty"` // bytes
	Bandwidth  int64             `cbor:"60,keyasint,omitempty"` // bits per second
}

// Kind returns "offer".
func (Offer) Kind() string { return "offer" }

func (c Offer) decide(s *State, x Context) ([]Event, error) {
	if x.Principal.Kind != PrincipalPeer {
		return nil, refuse(ErrForbidden, "offer: only a peer offers its computer")
	}
	peer, _ := s.Peer(x.Principal.Peer)
	if peer.Role != RoleVoter && peer.Role != RoleComputer {
		return nil, refuse(ErrForbidden, "offer: %s has the role %s", peer.Name, peer.Role)
	}
	if c.Scope == "" {
		if c.Scope = ScopeGroup; s.follows(RulesOfGroups) {
			c.Scope = ScopeOpen
		}
	}
	if c.Name == "" {
		c.Name = peer.Name
	}
	if err := c.check(s); err != nil {
		return nil, err
	}
	now := Computer{
		ID: ComputerID(peer.ID), Name: c.Name, Account: peer.Account, Scope: c.Scope,
		Partitions: c.Partitions, Free: c.Partitions, Labels: c.Labels, Grade: c.Grade,
		Arch: c.Arch, Host: c.Host, State: ComputerOnline, Since: x.At,
		Cores: c.Cores, Memory: c.Memory, Disk: c.Disk, Bandwidth: c.Bandwidth,
	}
	was, ok := s.Computer(now.ID)
	if ok {
		now.keep(was)
		now.Free = s.freeBelow(was, c.Partitions)
	}
	if !ok || was.tally() == (Tally{}) || was.Account != now.Account {
		if err := s.withinQuota(now.Account, "offer", QuotaComputers, s.Tally(now.Account).Computers, 1); err != nil {
			return nil, err
		}
	}
	if ok {
		if was.State == ComputerOnline {
			now.Since = was.Since
		}
		if equalComputers(was, now) {
			return nil, nil
		}
	}
	return []Event{Offered{now}}, nil
}

func (c Offer) check(s *State) error {
	switch {
	case c.Partitions < 0 || c.Partitions > MaxPartitions:
		return refuse(ErrInvalid, "offer: %d partitions, 0 to %d expected", c.Partitions, MaxPartitions)
	case c.Cores > MaxCores || c.Memory < 0 || c.Disk < 0 || c.Bandwidth < 0 || c.Bandwidth > MaxNeed:
		return refuse(ErrInvalid, "offer: %d thousandths of a core, %d bytes of memory, %d of disk, %d bits per second: at most %d and %d, not negative",
			c.Cores, c.Memory, c.Disk, c.Bandwidth, MaxCores, int64(MaxNeed))
	}
	if err := s.checkScope("offer", c.Scope); err != nil {
		return err
	}
	if err := checkName("computer name", c.Name, MaxName); err != nil {
		return err
	}
	for _, fact := range [][2]string{{"grade", c.Grade}, {"arch", c.Arch}, {"host", c.Host}} {
		if len(fact[1]) > MaxLabel || !printable(fact[1]) {
			return refuse(ErrInvalid, "offer: %s: at most %d printable bytes", fact[0], MaxLabel)
		}
	}
	return checkLabels("label", c.Labels)
}

func equalComputers(a, b Computer) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Account == b.Account && a.Scope == b.Scope &&
		a.Partitions == b.Partitions && a.Used == b.Used && a.Free == b.Free && a.Next == b.Next &&
		maps.Equal(a.Labels, b.Labels) && a.Grade == b.Grade && a.Arch == b.Arch &&
		a.Host == b.Host && a.State == b.State &&
		a.Capacity() == b.Capacity() && a.Reserved == b.Reserved &&
		a.Settings.equal(b.Settings) && a.Drained == b.Drained && a.Retired == b.Retired && a.Given == b.Given
}

// freeBelow counts the partitions below n that nobody holds.
func (s *State) freeBelow(c Computer, n int) int {
	free := max(0, n-c.Next)
	for k := range s.gaps.within(string(c.ID)) {
		if k.N >= uint64(n) {
			break
		}
		free++
	}
	return free
}

// lowestFree returns the lowest partition of c that nobody holds. There must
// be one.
func (s *State) lowestFree(c Computer) int {
	for k := range s.gaps.within(string(c.ID)) {
		if k.N < uint64(c.Partitions) {
			return int(k.N)
		}
		break
	}
	return c.Next
}

// take marks a partition as held, and what its instance needs as reserved.
func (s *State) take(id ComputerID, n int, needs Needs) {
	c, _ := s.Computer(id)
	for ; c.Next < n; c.Next++ {
		s.setGap(gap{id, c.Next})
	}
	if n == c.Next {
		c.Next++
	} else {
		s.dropGap(id, n)
	}
	c.Used++
	c.Free--
	c.Reserved = c.Reserved.plus(needs)
	s.setComputer(c)
}

// release marks a partition, and what was reserved, as free again, and forgets a computer that left
// with the last of its instances.
func (s *State) release(id ComputerID, n int, needs Needs) {
	c, ok := s.Computer(id)
	if !ok {
		return
	}
	s.setGap(gap{id, n})
	c.Used--
	c.Reserved = c.Reserved.minus(needs)
	if n < c.Partitions {
		c.Free++
	}
	s.setComputer(c)
	s.forgetComputer(c)
}

// forgetComputer drops a computer that left and on which nothing remains.
func (s *State) forgetComputer(c Computer) {
	if c.State != ComputerLeft || c.Used > 0 {
		return
	}
	for n := range c.Next {
		s.dropGap(c.ID, n)
	}
	for _, p := range collect(s.Supplies(c.ID)) {
		s.dropSupply(p.Computer, p.Release)
	}
	s.dropComputer(c.ID)
}

// MarkComputers says which computers the mesh has not heard of for a while,
// and which it hears of again. The leader proposes it in batches.
type MarkComputers struct {
	Lost []ComputerID `cbor:"1,keyasint,omitempty"`
	Back []ComputerID `cbor:"2,keyasint,omitempty"`
}

// Kind returns "mark-computers".
func (MarkComputers) Kind() string { return "mark-computers" }

func (c MarkComputers) decide(s *State, x Context) ([]Event, error) {
	if x.Principal.Kind != PrincipalSystem {
		return nil, refuse(ErrForbidden, "mark computers: only the leader marks them")
	}
	if n := len(c.Lost) + len(c.Back); n > MaxMarked {
		return nil, refuse(ErrInvalid, "mark computers: %d of them, at most %d", n, MaxMarked)
	}
	var events []Event
	seen := make(map[ComputerID]bool)
	mark := func(id ComputerID, from, to ComputerState) {
		computer, ok := s.Computer(id)
		if !ok || computer.State != from || seen[id] {
			return // it left, or somebody was faster
		}
		seen[id] = true
		events = append(events, ComputerMarked{id, computer.title(), computer.Account, to, x.At})
	}
	for _, id := range c.Lost {
		mark(id, ComputerOnline, ComputerLost)
	}
	for _, id := range c.Back {
		mark(id, ComputerLost, ComputerOnline)
	}
	return events, nil
}

// computerLeaves says what a computer's leaving for good means: what was to
// be destroyed there is gone, the rest is in error.
func (s *State) computerLeaves(id ComputerID, at time.Time) []Event {
	c, ok := s.Computer(id)
	if !ok || c.State == ComputerLeft {
		return nil
	}
	events := []Event{ComputerMarked{id, c.title(), c.Account, ComputerLeft, at}}
	for i := range s.InstancesOn(id) {
		if i.Requested == InstanceDestroyed {
			events = append(events, cut(i, at))
			continue
		}
		i.State, i.Healthy, i.Changed = InstanceError, false, at
		i.Reason = "computer " + c.title() + " left the mesh: destroy the instance and request it again"
		if source, ok := s.Instance(i.From); ok && !source.Settled() {
			has, _ := s.Computer(source.Computer)
			i.Reason = "computer " + c.title() + " left the mesh before it had the data, which is still on " + has.title() + ": move the instance again"
		}
		events = append(events, Observed{i, false})
		for shared := range s.SharedOn(i.ID) {
			events = append(events, shared.unserved(InstanceError, i.Reason, at))
		}
	}
	return events
}
