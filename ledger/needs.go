package ledger

import (
	"github.com/slapmesh/slapmesh/ledger/placement"
)

// Needs are what a computer keeps for an instance, or for all that are placed
// there together. A computer that says how much it has never takes more than
// that; what it does not say is not limited.
type Needs struct {
	Cores     int64 `cbor:"1,keyasint,omitempty"`  // thousandths of a core
	Memory    int64 `cbor:"2,keyasint,omitempty"`  // bytes
	Disk      int64 `cbor:"3,keyasint,omitempty"`  // bytes
	Bandwidth int64 `cbor:"60,keyasint,omitempty"` // bits per second
}

// MaxNeed bounds the bytes, or bits per second, that one instance may need, so
// that those of all on a computer can be added.
const MaxNeed = 1 << 48

func (n Needs) plus(m Needs) Needs {
	return Needs{n.Cores + m.Cores, n.Memory + m.Memory, n.Disk + m.Disk, n.Bandwidth + m.Bandwidth}
}

func (n Needs) minus(m Needs) Needs {
	return Needs{n.Cores - m.Cores, n.Memory - m.Memory, n.Disk - m.Disk, n.Bandwidth - m.Bandwidth}
}

func (n Needs) resources() placement.Resources { return placement.Resources(n) }

// or returns n with what is zero taken from m.
func (n Needs) or(m Needs) Needs {
	if n.Cores == 0 {
		n.Cores = m.Cores
	}
	if n.Memory == 0 {
		n.Memory = m.Memory
	}
	if n.Disk == 0 {
		n.Disk = m.Disk
	}
	if n.Bandwidth == 0 {
		n.Bandwidth = m.Bandwidth
	}
	return n
}

// check refuses what no computer has.
func (n Needs) check(what string) error {
	switch {
	case min(n.Cores, n.Memory, n.Disk, n.Bandwidth) < 0:
		return refuse(ErrInvalid, "%s: it needs %d thousandths of a core, %d bytes of memory, %d of disk, %d bits per second: nothing below zero expected",
			what, n.Cores, n.Memory, n.Disk, n.Bandwidth)
	case n.Cores > MaxCores || max(n.Memory, n.Disk, n.Bandwidth) > MaxNeed:
		return refuse(ErrInvalid, "%s: it needs %d thousandths of a core, %d bytes of memory, %d of disk, %d bits per second: at most %d cores and %d of each other expected",
			what, n.Cores, n.Memory, n.Disk, n.Bandwidth, MaxCores/1000, int64(MaxNeed))
	}
	return nil
}

// Capacity returns what c has; what is zero is not known.
func (c Computer) Capacity() Needs { return Needs{int64(c.Cores), c.Memory, c.Disk, c.Bandwidth} }

// tooSmall says what of n, which replaces was, c has no room for. What does
// not grow has room: it is there.
func (c Computer) tooSmall(was, n Needs) string {
	has, left := c.Capacity(), c.Capacity().minus(c.Reserved.minus(was))
	switch {
	case has.Cores > 0 && n.Cores > was.Cores && n.Cores > left.Cores:
		return placement.FormatCores(max(0, left.Cores)) + " are free for it"
	case has.Memory > 0 && n.Memory > was.Memory && n.Memory > left.Memory:
		return placement.FormatSize(max(0, left.Memory)) + " of memory are free for it"
	case has.Disk > 0 && n.Disk > was.Disk && n.Disk > left.Disk:
		return placement.FormatSize(max(0, left.Disk)) + " of disk are free for it"
	case has.Bandwidth > 0 && n.Bandwidth > was.Bandwidth && n.Bandwidth > left.Bandwidth:
		return placement.FormatBandwidth(max(0, left.Bandwidth)) + " are free for it"
	}
	return ""
}

// checkNeeds refuses what an instance cannot need, and what is new on a mesh
// whose rules do not know it.
func (c Request) checkNeeds(s *State) error {
	what := "request " + string(c.Reference)
	if m, _ := s.Mesh(); c.rules() >= RulesOfProjects && m.Rules < RulesOfProjects {
		return refuse(ErrUnavailable, "%s: this mesh follows rules %d, which know nothing of needs, nearness and prices: all voters must be upgraded first", what, m.Rules)
	}
	if c.MaxPrice < 0 || c.MaxPrice > maxBalance {
		return refuse(ErrInvalid, "%s: at most %s credits an hour: more than nothing expected, up to %s", what, c.MaxPrice, maxBalance)
	}
	if err := c.Affinity.check(c.Reference); err != nil {
		return err
	}
	return c.Needs.check(what)
}

// sameDemands reports whether both ask the same of their computer, filters
// aside.
func (i Instance) sameDemands(j Instance) bool {
	return i.Needs == j.Needs && i.MaxPrice == j.MaxPrice && i.Affinity.equal(j.Affinity)
}

// resize notes what an instance needs from now on, if its computer has that.
func (c Request) resize(s *State, was Instance, now *Instance) error {
	now.Needs = c.Needs
	if !c.ReplaceNeeds {
		now.Needs = c.Needs.or(was.Needs)
	}
	computer, ok := s.Computer(was.Computer)
	if !ok || now.Needs == was.Needs {
		return nil
	}
	if left := computer.tooSmall(was.Needs, now.Needs); left != "" {
		return refuse(ErrExhausted, "request %s: it is on %s, where %s: ask for less, or destroy it and request it again", c.Reference, computer.title(), left)
	}
	return nil
}

// resize keeps up what a computer has reserved.
func (s *State) resize(was, now Instance) {
	c, ok := s.Computer(now.Computer)
	if !ok || was.Needs == now.Needs {
		return
	}
	c.Reserved = c.Reserved.minus(was.Needs).plus(now.Needs)
	s.setComputer(c)
}
