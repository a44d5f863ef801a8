package ledger

import "iter"

// Mesh returns the mesh, if it was founded.
func (s *State) Mesh() (Mesh, bool) { return s.mesh.get(Key{}) }

// Account returns the account of that name.
func (s *State) Account(name AccountName) (Account, bool) {
	return s.accounts.get(Key{A: string(name)})
}

// Accounts iterates over all accounts by name.
func (s *State) Accounts() iter.Seq[Account] { return values(s.accounts.all()) }

// Peer returns the peer of that id. A revoked one is still there.
func (s *State) Peer(id PeerID) (Peer, bool) { return s.peers.get(Key{A: string(id)}) }

// Peers iterates over all peers by id.
func (s *State) Peers() iter.Seq[Peer] { return values(s.peers.all()) }

// Token returns the token of that id.
func (s *State) Token(id TokenID) (Token, bool) { return s.tokens.get(Key{A: string(id)}) }

// Tokens iterates over the tokens of an account by id.
func (s *State) Tokens(account AccountName) iter.Seq[Token] {
	return func(yield func(Token) bool) {
		for id := range s.tokensBy.Keys(account) {
			if t, ok := s.Token(id); ok && !yield(t) {
				return
			}
		}
	}
}

// AllTokens iterates over the tokens of all accounts by id.
func (s *State) AllTokens() iter.Seq[Token] { return values(s.tokens.all()) }

// TokenByDigest returns the token whose secret has that SHA-256.
func (s *State) TokenByDigest(digest []byte) (Token, bool) {
	id, ok := s.digests.Get(string(digest))
	if !ok {
		return Token{}, false
	}
	return s.Token(id)
}

// Computer returns the computer of that id.
func (s *State) Computer(id ComputerID) (Computer, bool) {
	return s.computers.get(Key{A: string(id)})
}

// Computers iterates over all computers by id.
func (s *State) Computers() iter.Seq[Computer] { return values(s.computers.all()) }

// Release returns the release of that digest.
func (s *State) Release(digest ReleaseDigest) (Release, bool) {
	return s.releases.get(Key{A: string(digest)})
}

// Releases iterates over all releases by digest.
func (s *State) Releases() iter.Seq[Release] { return values(s.releases.all()) }

// ReleaseByName returns the release that an account means by a name: the
// latest that it published itself, or else that of the operator's account,
// or else that of whoever used the name first.
func (s *State) ReleaseByName(account AccountName, name string) (Release, bool) {
	mesh, _ := s.Mesh()
	best, found := naming{}, false
	for _, n := range s.namings.within(name) {
		if n.Publisher == account {
			best, found = n, true
			break
		}
		operator, chosen := n.Publisher == mesh.Operator, best.Publisher == mesh.Operator
		if !found || operator || !chosen && n.Since.Before(best.Since) {
			best, found = n, true
		}
	}
	if !found {
		return Release{}, false
	}
	return s.Release(best.Release)
}

// Profile returns the bytes of a release. A slice has them for the releases
// that its own computer is to have.
func (s *State) Profile(digest ReleaseDigest) ([]byte, bool) {
	p, ok := s.profiles.get(Key{A: string(digest)})
	return p.Data, ok
}

// Supply returns the supply of a release on a computer.
func (s *State) Supply(computer ComputerID, release ReleaseDigest) (Supply, bool) {
	return s.supplies.get(Key{A: string(computer), B: string(release)})
}

// Supplies iterates over the supplies of a computer by digest.
func (s *State) Supplies(computer ComputerID) iter.Seq[Supply] {
	return values(s.supplies.within(string(computer)))
}

// SuppliesOf iterates over the supplies of a release by computer.
func (s *State) SuppliesOf(release ReleaseDigest) iter.Seq[Supply] {
	return func(yield func(Supply) bool) {
		for id := range s.suppliesBy.Keys(release) {
			if p, ok := s.Supply(id, release); ok && !yield(p) {
				return
			}
		}
	}
}

// Instance returns the instance of that id, a destroyed one for as long as
// it is remembered.
func (s *State) Instance(id InstanceID) (Instance, bool) {
	return s.instances.get(Key{N: uint64(id)})
}

// AllInstances iterates over the instances of all accounts by id.
func (s *State) AllInstances() iter.Seq[Instance] { return values(s.instances.all()) }

// InstancesOn iterates over the instances that hold a partition of a
// computer, by partition.
func (s *State) InstancesOn(computer ComputerID) iter.Seq[Instance] {
	return func(yield func(Instance) bool) {
		for id := range s.below(&s.partitions, string(computer), partitionBits) {
			if i, ok := s.Instance(id); ok && !yield(i) {
				return
			}
		}
	}
}

// InstanceAt returns the instance that holds an address.
func (s *State) InstanceAt(address Address) (Instance, bool) {
	id, ok := s.addresses.Get(address)
	if !ok || !address.Is4() {
		return Instance{}, false
	}
	return s.Instance(id)
}

// Events iterates over the events that are remembered, from the one numbered
// since on.
func (s *State) Events(since uint64) iter.Seq[Entry] {
	return values(s.events.from(Key{N: since}))
}
