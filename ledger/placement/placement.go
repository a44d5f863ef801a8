// Package placement chooses the computer of an instance.
//
// An [Index] knows the computers that could take an instance;
// [Index.Choose] picks the one that fits a [Want] best, or explains with a
// [Refusal] why none does; [Index.Quote] answers the same and says what it
// costs, there and at the next best. It is pure: the same computers and the
// same want give the same choice, whatever the order in which the computers
// were put.
//
// # The choice
//
// A want demands (filters, an [Expr], what it is to be near or apart from,
// what it needs, what it pays at most) and prefers, by its [Policy]. The
// index keeps computers sorted by what policies prefer, and finds them by
// each fact that a want can name; it does not scan all computers.
//
// # Elsewhere
//
// Who may ask, and what a reference in a want means, is decided by package
// ledger, which also reserves what was chosen and puts the computer again.
package placement

import (
	"math"
	"math/bits"
)

// A Policy says which of the computers that fit is the best.
type Policy string

// The policies. Ties are broken by the id, the lower first.
const (
	// Default prefers computers that have the release built, then those with
	// more free partitions. The empty policy means the same.
	Default Policy = "default"

	// Pack prefers the fullest: see [Candidate.Load]; then fewer free
	// partitions.
	Pack Policy = "pack"

	// Spread prefers sites that hold less of what the want is to be spread
	// from, then sites of which a smaller share is used, then more free
	// partitions in the site; and there the computer that holds less of it,
	// then the one with more free partitions.
	Spread Policy = "spread"

	// Cheapest prefers the lowest [Candidate.Price], then more free
	// partitions.
	Cheapest Policy = "cheapest"
)

// Valid reports whether there is such a policy.
func (p Policy) Valid() bool {
	return p == "" || p == Default || p == Pack || p == Spread || p == Cheapest
}

// Resources are what a computer has, or what an instance takes of it.
type Resources struct {
	Cores     int64 // thousandths
	Memory    int64 // bytes
	Disk      int64 // bytes
	Bandwidth int64 // bits per second
}

// within reports whether r fits into most.
func (r Resources) within(most Resources) bool {
	return r.Cores <= most.Cores && r.Memory <= most.Memory && r.Disk <= most.Disk && r.Bandwidth <= most.Bandwidth
}

// atLeast raises each of r to that of o.
func (r Resources) atLeast(o Resources) Resources {
	return Resources{max(r.Cores, o.Cores), max(r.Memory, o.Memory), max(r.Disk, o.Disk), max(r.Bandwidth, o.Bandwidth)}
}

// limits returns r with what is not known as more than anything needs.
func (r Resources) limits() Resources {
	limit := func(n int64) int64 {
		if n <= 0 {
			return math.MaxInt64
		}
		return n
	}
	return Resources{limit(r.Cores), limit(r.Memory), limit(r.Disk), limit(r.Bandwidth)}
}

// less subtracts, and never goes below zero.
func (r Resources) less(o Resources) Resources {
	r, o = r.atLeast(Resources{}), o.atLeast(Resources{})
	return Resources{max(0, r.Cores-o.Cores), max(0, r.Memory-o.Memory), max(0, r.Disk-o.Disk), max(0, r.Bandwidth-o.Bandwidth)}
}

// Rates are what a computer costs, in pico-credits per hour: a millionth of
// the micro-credits of a price. Negative ones count as zero.
type Rates struct {
	Partition int64
	Core      int64
	Memory    int64 // per GiB
	Disk      int64 // per GiB
}

func (r Rates) atMost(o Rates) Rates {
	return Rates{min(r.Partition, o.Partition), min(r.Core, o.Core), min(r.Memory, o.Memory), min(r.Disk, o.Disk)}
}

// picos are the pico-credits of a micro-credit.
const picos = 1_000_000

// Price returns what one partition with r costs in an hour, in micro-credits:
// each part rounded up, and the sum math.MaxInt64 if it is more.
func (r Rates) Price(of Resources) int64 {
	sum := share(r.Partition, 1, picos)
	sum = plus(sum, share(r.Core, of.Cores, 1000*picos))
	sum = plus(sum, share(r.Memory, of.Memory, picos<<30))
	return plus(sum, share(r.Disk, of.Disk, picos<<30))
}

// share returns rate × amount ÷ unit, rounded up and at most math.MaxInt64.
func share(rate, amount int64, unit uint64) int64 {
	if rate <= 0 || amount <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(rate), uint64(amount))
	lo, carry := bits.Add64(lo, unit-1, 0)
	if hi += carry; hi >= unit {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, unit)
	return int64(min(q, math.MaxInt64))
}

// plus adds what is not negative; the sum is at most math.MaxInt64.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// A Candidate is a computer that may take instances.
type Candidate struct {
	ID     string
	Name   string
	Owner  string            // account
	Host   string            // what computers on one machine have in common; may be empty
	Free   int               // partitions
	Used   int               // partitions that are held
	Labels map[string]string // what filters compare, besides the facts below
	Grade  string
	Arch   string

	Capacity Resources // what it has; what is zero is not known, and not limited
	Reserved Resources // what its instances hold of it
	Rates    Rates

	Public  bool // takes anyone's, whatever its grade
	Weak    bool // its grade is too low for strangers
	Only    bool // takes its owner's only
	Kin     bool // takes those of its owner and of its owner's kin only
	Closed  bool // takes nobody's
	Drained bool // takes no new ones
	Retired bool // … for good
	Silent  bool // lost or left
}

// open reports whether c takes anything new at all.
func (c *Candidate) open() bool { return !c.Silent && !c.Retired && !c.Closed && !c.Drained }

// Site returns where c is: its label site; its host, or itself, if it does
// not say.
func (c *Candidate) Site() string {
	switch {
	case c.Labels["site"] != "":
		return c.Labels["site"]
	case c.Host != "":
		return "host " + c.Host
	}
	return "computer " + c.ID
}

// Load returns how full c is in parts of a million: that of the scarcest of
// its partitions, cores, memory, disk and bandwidth.
func (c *Candidate) Load() int {
	load := part(int64(c.Used), plus(int64(max(0, c.Used)), int64(max(0, c.Free))))
	load = max(load, part(c.Reserved.Cores, c.Capacity.Cores))
	load = max(load, part(c.Reserved.Memory, c.Capacity.Memory))
	load = max(load, part(c.Reserved.Disk, c.Capacity.Disk))
	return max(load, part(c.Reserved.Bandwidth, c.Capacity.Bandwidth))
}

// part returns used ÷ all in parts of a million, at most all of them.
func part(used, all int64) int {
	const full = 1_000_000
	switch {
	case used <= 0 || all <= 0:
		return 0
	case used >= all:
		return full
	}
	hi, lo := bits.Mul64(uint64(used), full)
	q, _ := bits.Div64(hi, lo, uint64(all))
	return int(q)
}

// Price returns what w costs on c, in micro-credits per hour.
func (c *Candidate) Price(w *Want) int64 { return c.Rates.Price(w.expects()) }

// A Want is what an instance asks for. The zero value of each field demands
// nothing.
type Want struct {
	Reference string            // for the explanation
	Account   string            // who asks
	Release   string            // digest; a computer that has built it is preferred
	Strangers bool              // accounts do not know one another
	Kin       func(string) bool // whether an owner is kin of the account; nil: none is. Asked once for each
	Filter    map[string]string // all must be equal: labels, computer, grade, arch
	Expr      *Expr             // must hold as well
	Avoid     []string          // computers that are chosen only if no other will do

	Policy   Policy
	Needs    Resources // is free there, or it does not fit
	Expect   Resources // what is likely to be used, for the price; default Needs
	MaxPrice int64     // micro-credits per hour; 0 is any
	Besides  int64     // what an hour costs wherever it is, such as the release; MaxPrice is for both

	// What the instance must be near to: nil demands nothing, and an empty
	// list excludes every computer.
	OnlyComputers []string
	OnlySites     []string // as Candidate.Site says

	// What it must be apart from.
	NotComputers []string
	NotSites     []string
	NotHosts     []string
	NotLabels    []Label // such as the networks of others

	// Beside says which computers hold what a spread instance is to be spread
	// from.
	Beside []Held
}

// Held is how many instances a computer holds.
type Held struct {
	Computer  string
	Instances int
}

// A Label is one label of a computer.
type Label struct{ Key, Value string }

func (w *Want) expects() Resources {
	switch {
	case w == nil:
		return Resources{}
	case w.Expect != Resources{}:
		return w.Expect
	}
	return w.Needs
}
