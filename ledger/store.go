package ledger

import (
	"github.com/slapmesh/slapmesh/ledger/placement"
)

// The functions below are the only ways in which rows change: each keeps the
// indexes that rest on its table. Events use them, and so do snapshots and
// slices when they are read.

func (s *State) setMesh(m Mesh) {
	old, _ := put(s, &s.mesh, Key{}, m)
	if old.Rules < RulesOfProjects && m.Rules >= RulesOfProjects {
		for _, c := range collect(s.Computers()) {
			s.place(c) // its price counts from now on
		}
	}
}

func (s *State) setAccount(a Account) {
	old, replaced := put(s, &s.accounts, Key{A: string(a.Name)}, a)
	if replaced && old.Operator != a.Operator { // slices show more, or less, of its tokens
		for t := range s.Tokens(a.Name) {
			s.changes = append(s.changes, Change{tableTokens, Key{A: string(t.ID)}, a.Name, ""})
		}
	}
	s.retally(old.CreatedBy, old.tally(), a.CreatedBy, a.tally())
}

func (s *State) dropAccount(name AccountName) {
	old, _ := drop(s, &s.accounts, Key{A: string(name)})
	s.tally(old.CreatedBy, old.tally().minus())
}

// setMember tells the user and the project of it.
func (s *State) setMember(m Membership) {
	k := Key{A: string(m.Project), B: string(m.Account)}
	put(s, &s.members, k, m)
	s.memberOf.Set(Key{A: k.B, B: k.A}, 0)
	s.changes = append(s.changes, Change{tableMembers, k, m.Project, ""})
}

func (s *State) dropMember(project, account AccountName) {
	k := Key{A: string(project), B: string(account)}
	drop(s, &s.members, k)
	s.memberOf.Delete(Key{A: k.B, B: k.A})
	s.changes = append(s.changes, Change{tableMembers, k, project, ""})
}

func (s *State) setPeer(p Peer) { put(s, &s.peers, Key{A: string(p.ID)}, p) }

func (s *State) dropPeer(id PeerID) { drop(s, &s.peers, Key{A: string(id)}) }

func (s *State) setToken(t Token) {
	old, replaced := put(s, &s.tokens, Key{A: string(t.ID)}, t)
	if replaced {
		s.unindexToken(old)
	}
	s.tokensBy.Add(t.Account, t.ID)
	if len(t.Digest) > 0 {
		s.digests.Set(string(t.Digest), t.ID)
	}
}

func (s *State) dropToken(id TokenID) {
	if old, ok := drop(s, &s.tokens, Key{A: string(id)}); ok {
		s.unindexToken(old)
	}
}

func (s *State) unindexToken(t Token) {
	s.tokensBy.Remove(t.Account, t.ID)
	s.digests.Delete(string(t.Digest))
}

func (s *State) setComputer(c Computer) {
	old, replaced := put(s, &s.computers, Key{A: string(c.ID)}, c)
	if replaced {
		s.retally(old.Account, old.tally(), c.Account, c.tally())
	} else {
		s.tally(c.Account, c.tally())
	}
	if replaced && old.Account != c.Account { // its supplies are other people's business now
		for p := range s.Supplies(c.ID) {
			k := supplyKey(p.Computer, p.Release)
			s.changes = append(s.changes,
				Change{tableSupplies, k, old.Account, c.ID},
				Change{tableSupplies, k, c.Account, c.ID})
		}
	}
	if replaced && old.Account != c.Account {
		s.owned.Remove(old.Account, c.ID)
	}
	s.owned.Add(c.Account, c.ID)
	s.place(c)
}

// place puts a computer where placement finds it.
func (s *State) place(c Computer) {
	if s.partial {
		return
	}
	s.places.Put(placement.Candidate{
		ID:     string(c.ID),
		Name:   c.Name,
		Owner:  string(c.Account),
		Free:   c.Free,
		Labels: c.Labels,
		Grade:  c.Grade,
		Arch:   c.Arch,
		Public: c.Scope == ScopePublic,
		Weak:   c.Grade == GradePlain,
		Only:   c.Scope == ScopePersonal,
		Kin:    c.Scope == ScopeGroup && s.follows(RulesOfGroups),
		Closed: c.Scope == ScopeClosed,
		Silent: c.State != ComputerOnline,
		Host:   c.Host,
		Used:   c.Used,

		Capacity: c.Capacity().resources(),
		Reserved: c.Reserved.resources(),
		Rates:    s.rates(c.Account),
		Drained:  c.Drained,
		Retired:  c.Retired,
	})
}

func (s *State) dropComputer(id ComputerID) {
	if old, ok := drop(s, &s.computers, Key{A: string(id)}); ok {
		s.owned.Remove(old.Account, id)
		s.tally(old.Account, old.tally().minus())
	}
	if !s.partial {
		s.places.Delete(string(id))
	}
}

func (s *State) setGap(g gap) { put(s, &s.gaps, gapKey(g.Computer, g.N), g) }

func (s *State) dropGap(id ComputerID, n int) { drop(s, &s.gaps, gapKey(id, n)) }

func gapKey(id ComputerID, n int) Key { return Key{A: string(id), N: uint64(n)} }

func (s *State) setRelease(r Release) { put(s, &s.releases, Key{A: string(r.Digest)}, r) }

func (s *State) dropRelease(d ReleaseDigest) { drop(s, &s.releases, Key{A: string(d)}) }

func (s *State) setNaming(n naming) {
	put(s, &s.namings, Key{A: n.Name, B: string(n.Publisher)}, n)
}

func (s *State) dropNaming(name string, publisher AccountName) {
	drop(s, &s.namings, Key{A: name, B: string(publisher)})
}

func (s *State) setProfile(p profile) {
	old, _ := put(s, &s.profiles, Key{A: string(p.Digest)}, p)
	s.profileSize += int64(len(p.Data) - len(old.Data))
}

func (s *State) dropProfile(d ReleaseDigest) {
	old, _ := drop(s, &s.profiles, Key{A: string(d)})
	s.profileSize -= int64(len(old.Data))
}

func (s *State) setSupply(p Supply) {
	put(s, &s.supplies, supplyKey(p.Computer, p.Release), p)
	s.suppliesBy.Add(p.Release, p.Computer)
	if !s.partial {
		s.places.SetBuilt(string(p.Computer), string(p.Release), p.State == SupplyAvailable)
	}
}

func (s *State) dropSupply(id ComputerID, d ReleaseDigest) {
	drop(s, &s.supplies, supplyKey(id, d))
	s.suppliesBy.Remove(d, id)
	if !s.partial {
		s.places.SetBuilt(string(id), string(d), false)
	}
}

func supplyKey(id ComputerID, d ReleaseDigest) Key { return Key{A: string(id), B: string(d)} }

func (s *State) setInstance(i Instance) {
	old, replaced := put(s, &s.instances, i.key(), i)
	s.relink(old, i)
	s.renear(old, i)
	s.respread(old, i)
	if !replaced {
		s.tally(i.Account, i.tally())
	}
	if replaced {
		s.retally(old.Account, old.tally(), i.Account, i.tally())
		if i.sameIndexes(old) {
			return
		}
		s.unindexInstance(old)
	}
	switch {
	case i.nameless():
		s.buried.Set(buriedKey(i.name(), i.ID), i.ID)
	case s.later != nil:
		s.later.name(i.name(), i.ID)
	default:
		s.references.Set(i.name(), i.ID)
	}
	if i.Settled() || i.Shared {
		return // it has no place, or its host's
	}
	s.partitions.Set(s.placeOf(i.Computer, i.Partition), i.ID)
	s.addresses.Set(i.Address, i.ID)
}

// sameIndexes reports whether i is found where was was: then the indexes, of
// which every change copies a path, are left alone.
func (i Instance) sameIndexes(was Instance) bool {
	return i.name() == was.name() && i.nameless() == was.nameless() && i.Settled() == was.Settled() &&
		i.Computer == was.Computer && i.Partition == was.Partition && i.Address == was.Address
}

func (s *State) dropInstance(id InstanceID) {
	if old, ok := drop(s, &s.instances, Key{N: uint64(id)}); ok {
		s.tally(old.Account, old.tally().minus())
		s.respread(old, Instance{})
		s.unlink(old)
		s.renear(old, Instance{})
		s.unindexInstance(old)
	}
}

// unindexInstance forgets where i is found. What another instance has taken
// over meanwhile stays: rows of a slice arrive in any order.
func (s *State) unindexInstance(i Instance) {
	if id, _ := s.references.Get(i.name()); id == i.ID {
		s.references.Delete(i.name())
	}
	s.buried.Delete(buriedKey(i.name(), i.ID))
	place := s.placeOf(i.Computer, i.Partition)
	if id, _ := s.partitions.Get(place); id == i.ID {
		s.partitions.Delete(place)
	}
	if id, _ := s.addresses.Get(i.Address); id == i.ID {
		s.addresses.Delete(i.Address)
	}
}

func (s *State) setGrave(g grave) { put(s, &s.graves, Key{N: g.N}, g) }

func (s *State) setReturned(r returned) { put(s, &s.returned, Key{N: r.N}, r) }

func (s *State) setEntry(e Entry) { put(s, &s.events, Key{N: e.N}, e) }

func (s *State) setWallet(w Wallet) { put(s, &s.wallets, Key{A: string(w.Account)}, w) }

func (s *State) setPrice(p Price) {
	old, _ := put(s, &s.prices, p.key(), p)
	if p.Release == "" {
		s.reprice(old, p)
	}
}

func (s *State) dropPrice(k Key) {
	old, ok := drop(s, &s.prices, k)
	if ok && old.Release == "" {
		s.reprice(old, Price{Account: old.Account})
	}
}

func (s *State) setCharge(c Charge) {
	old, replaced := put(s, &s.charges, c.key(), c)
	if !replaced {
		s.tally(c.Payer, Tally{bills: 1})
	}
	if replaced && old.Owner == c.Owner && old.Publisher == c.Publisher && old.Host == c.Host && len(old.Former) == len(c.Former) {
		return
	}
	if replaced {
		s.unindexCharge(old)
	}
	for account := range c.earners() {
		if k := s.earningOf(account, c.Instance); s.later != nil {
			s.later.earn(k)
		} else {
			s.earners.Set(k, c.Instance)
		}
	}
}

func (s *State) dropCharge(id InstanceID) {
	old, ok := drop(s, &s.charges, Key{N: uint64(id)})
	if !ok {
		return
	}
	s.unindexCharge(old)
	s.tally(old.Payer, Tally{bills: -1})
	if s.partial {
		return // it is told what is forgotten
	}
	s.forgetAccount(old.Payer)
	for name := range old.earners() {
		s.forgetAccount(name)
	}
}

func (s *State) unindexCharge(c Charge) {
	for account := range c.earners() {
		s.earners.Delete(s.earningOf(account, c.Instance))
	}
}

func (s *State) setMeter(m Meter) { put(s, &s.meters, Key{A: string(m.Computer)}, m) }

func (s *State) setHeld(h heldUsage) { put(s, &s.held, heldKey(h.Computer, h.Number), h) }

func (s *State) dropHeld(id ComputerID, n uint64) { drop(s, &s.held, heldKey(id, n)) }

func heldKey(id ComputerID, n uint64) Key { return Key{A: string(id), N: n} }

func (s *State) setPayment(p Payment) { put(s, &s.payments, Key{A: p.ID}, p) }

func (s *State) dropPayment(id string) { drop(s, &s.payments, Key{A: id}) }

func (s *State) setPaidAt(p paidAt) { put(s, &s.paidAt, Key{N: p.N}, p) }
