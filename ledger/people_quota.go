package ledger

import (
	"fmt"
	"strings"

	"github.com/slapmesh/slapmesh/ledger/placement"
)

// A Quota bounds what an account may have at one time. What is nil is not
// bounded.
type Quota struct {
	Instances *int64 `cbor:"1,keyasint,omitempty"` // that are not gone
	Computers *int64 `cbor:"2,keyasint,omitempty"`
	Tokens    *int64 `cbor:"3,keyasint,omitempty"`  // that can still be used
	Cores     *int64 `cbor:"4,keyasint,omitempty"`  // thousandths of a core that its instances need together
	Memory    *int64 `cbor:"5,keyasint,omitempty"`  // bytes, as above
	Disk      *int64 `cbor:"6,keyasint,omitempty"`  // bytes, as above
	Bandwidth *int64 `cbor:"60,keyasint,omitempty"` // bits per second, as above
}

// maxQuota bounds quotas, so that sums stay in range; maxTally bounds what the
// instances of an account need together, for who has no quota.
const (
	maxQuota = 1 << 50
	maxTally = 1 << 62
)

// noQuota lifts a bound in a [SetQuota].
const noQuota = -1

// A QuotaKind names one of the bounds.
type QuotaKind string

// The kinds of quotas, as people name them.
const (
	QuotaInstances QuotaKind = "instances"
	QuotaComputers QuotaKind = "computers"
	QuotaTokens    QuotaKind = "tokens"
	QuotaCores     QuotaKind = "cores"
	QuotaMemory    QuotaKind = "memory"
	QuotaDisk      QuotaKind = "disk"
	QuotaBandwidth QuotaKind = "bandwidth"
)

// QuotaKinds lists the kinds in the order in which they are shown.
var QuotaKinds = []QuotaKind{QuotaInstances, QuotaComputers, QuotaTokens, QuotaCores, QuotaMemory, QuotaDisk, QuotaBandwidth}

// of returns where a bound is kept.
func (q *Quota) of(k QuotaKind) **int64 {
	switch k {
	case QuotaInstances:
		return &q.Instances
	case QuotaComputers:
		return &q.Computers
	case QuotaTokens:
		return &q.Tokens
	case QuotaCores:
		return &q.Cores
	case QuotaMemory:
		return &q.Memory
	case QuotaDisk:
		return &q.Disk
	case QuotaBandwidth:
		return &q.Bandwidth
	}
	return new(*int64)
}

// Get returns a bound, if there is one.
func (q Quota) Get(k QuotaKind) (int64, bool) {
	if v := *q.of(k); v != nil {
		return *v, true
	}
	return 0, false
}

// With returns q with one bound set, or lifted if most is negative.
func (q Quota) With(k QuotaKind, most int64) Quota {
	if *q.of(k) = &most; most < 0 {
		*q.of(k) = nil
	}
	return q
}

// withinQuota refuses what an account may not have beside what it uses.
func (s *State) withinQuota(account AccountName, what string, k QuotaKind, used, more int64) error {
	a, _ := s.Account(account)
	most, bounded := a.Quota.Get(k)
	if !bounded || more <= 0 || used+more <= most {
		return nil
	}
	return refuse(ErrExhausted, "%s: account %s may have %s and has %s: give some up, or ask an operator for more (slapd project quota %s --%s N)",
		what, account, k.amount(most), k.amount(used), account, k)
}

// amount says how much n of a kind is.
func (k QuotaKind) amount(n int64) string {
	switch k {
	case QuotaCores:
		return placement.FormatCores(n)
	case QuotaMemory, QuotaDisk:
		return placement.FormatSize(n) + " of " + string(k)
	case QuotaBandwidth:
		return placement.FormatBandwidth(n) + " of " + string(k)
	case QuotaInstances, QuotaComputers, QuotaTokens:
		if n == 1 {
			return "1 " + strings.TrimSuffix(string(k), "s")
		}
	}
	return fmt.Sprintf("%d %s", n, k)
}

// mayHave refuses an instance more than its account may have. That of a
// disabled account gets none by way of a computer either.
func (c Request) mayHave(s *State, p Principal, account AccountName) error {
	what := "request " + string(c.Reference)
	if a, _ := s.Account(account); a.Disabled && (!p.Operator || c.Parent != 0) {
		return refuse(ErrForbidden, "%s: account %s is disabled: ask an operator of the mesh", what, account)
	}
	if err := s.withinQuota(account, what, QuotaInstances, s.Tally(account).Instances, 1); err != nil {
		return err
	}
	parent, _ := s.Instance(c.Parent)
	unsaid := c.Shared || c.Parent != 0 && s.runs(p, parent) // a profile does not know of quotas
	return s.mayNeed(account, what, !unsaid, Needs{}, c.Needs)
}

// mayNeed refuses what an instance needs, where was is what it needed, if its
// account may not have that. Who has such a quota must say what a new one
// needs, and no less later: what is not known cannot be added up.
func (s *State) mayNeed(account AccountName, what string, say bool, was, now Needs) error {
	a, _ := s.Account(account)
	used := s.Tally(account).Needs
	for _, n := range []struct {
		kind           QuotaKind
		used, was, now int64
	}{
		{QuotaCores, used.Cores, was.Cores, now.Cores},
		{QuotaMemory, used.Memory, was.Memory, now.Memory},
		{QuotaDisk, used.Disk, was.Disk, now.Disk},
		{QuotaBandwidth, used.Bandwidth, was.Bandwidth, now.Bandwidth},
	} {
		if _, bounded := a.Quota.Get(n.kind); bounded && n.now == 0 && (say || n.was != 0) {
			return refuse(ErrInvalid, "%s: account %s has a quota of %s: say how much the instance needs", what, account, n.kind)
		}
		if err := s.withinQuota(account, what, n.kind, n.used, n.now-n.was); err != nil {
			return err
		}
		if n.now > n.was && n.used > maxTally-n.now && s.follows(RulesOfGroups) {
			return refuse(ErrExhausted, "%s: account %s would need more than %s in all", what, account, n.kind.amount(maxTally))
		}
	}
	return nil
}

// SetQuota bounds what an account may have. Operators only. What it has
// beyond that stays; it gets no more.
type SetQuota struct {
	Account AccountName `cbor:"1,keyasint"`
	Quota   Quota       `cbor:"2,keyasint"` // nil keeps what is there, -1 lifts it
}

// Kind returns "set-quota".
func (SetQuota) Kind() string { return "set-quota" }

func (c SetQuota) decide(s *State, x Context) ([]Event, error) {
	if err := s.peopled("quota"); err != nil {
		return nil, err
	}
	account, ok := s.Account(c.Account)
	switch {
	case !x.Principal.Operator:
		return nil, refuse(ErrForbidden, "quota of %.80q: only an operator sets quotas", string(c.Account))
	case !ok || !account.Deleted.IsZero():
		return nil, refuse(ErrNotFound, "quota: account %.80q is not known", string(c.Account))
	}
	changed := false
	for _, k := range QuotaKinds {
		most, given := c.Quota.Get(k)
		if !given {
			continue
		}
		if most < noQuota || most > maxQuota {
			return nil, refuse(ErrInvalid, "quota of %s: %s of %d: 0 to %d expected, or -1 for no bound", c.Account, k, most, int64(maxQuota))
		}
		was, bounded := account.Quota.Get(k)
		changed = changed || bounded != (most != noQuota) || bounded && was != most
		account.Quota = account.Quota.With(k, most)
	}
	if !changed {
		return nil, nil
	}
	return []Event{QuotaSet{account}}, nil
}

// A Tally counts what an account has. It is computed from the rows, so that
// nobody has to look through them.
type Tally struct {
	Instances int64 // that are not gone
	Needs     Needs // of these
	Computers int64 // that did not leave
	Projects  int64 // that it made and that are not deleted
	bills     int64 // that it pays or paid
}

// Tally returns what an account has.
func (s *State) Tally(account AccountName) Tally {
	r, _ := s.tallies.Get(Key{A: string(account)})
	return valueOf[Tally](r)
}

// tally adds to what an account has.
func (s *State) tally(account AccountName, more Tally) {
	if more == (Tally{}) {
		return
	}
	if s.loading != nil { // a million rows of a few accounts
		if s.counted == nil {
			s.counted = make(map[AccountName]Tally)
		}
		s.counted[account] = s.counted[account].plus(more)
		return
	}
	k, t := Key{A: string(account)}, s.Tally(account).plus(more)
	if t == (Tally{}) {
		s.tallies.Delete(k)
		return
	}
	s.tallies.Set(k, &row[Tally]{value: t})
}

// settleTallies adds what the rows of a snapshot stand for.
func (s *State) settleTallies() {
	for account, more := range s.counted {
		s.tally(account, more)
	}
	s.counted = nil
	s.settleSpread()
}

func (t Tally) plus(u Tally) Tally {
	return Tally{t.Instances + u.Instances, t.Needs.plus(u.Needs), t.Computers + u.Computers, t.Projects + u.Projects, t.bills + u.bills}
}

// minus returns what takes t away again.
func (t Tally) minus() Tally {
	return Tally{-t.Instances, Needs{}.minus(t.Needs), -t.Computers, -t.Projects, -t.bills}
}

// tallies of what one row stands for.

func (i Instance) tally() (t Tally) {
	if !i.Settled() {
		t.Instances, t.Needs = 1, i.Needs
	}
	return t
}

func (c Computer) tally() (t Tally) {
	if c.State != ComputerLeft {
		t.Computers = 1
	}
	return t
}

func (a Account) tally() (t Tally) {
	if a.Project() {
		t.Projects = 1
	}
	return t
}

// retally replaces what a row stood for by what it stands for now.
func (s *State) retally(was AccountName, old Tally, now AccountName, t Tally) {
	if was == now && old == t {
		return
	}
	s.tally(was, old.minus())
	s.tally(now, t)
}
