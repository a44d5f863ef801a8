package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
)

// Publish makes a release known to the mesh. It is idempotent by digest. The
// publisher's name for it means this digest from now on.
type Publish struct {
	Digest  ReleaseDigest   `cbor:"1,keyasint"`
	Profile []byte          `cbor:"2,keyasint"` // whose SHA-256 is the digest
	Name    string          `cbor:"3,keyasint"`
	Version string          `cbor:"4,keyasint,omitempty"`
	Title   string          `cbor:"5,keyasint,omitempty"`
	Types   []string        `cbor:"6,keyasint,omitempty"`
	Schema  json.RawMessage `cbor:"7,keyasint,omitempty"`

	// Account is the publisher: the caller's if empty.
	Account AccountName `cbor:"8,keyasint,omitempty"`
}

// Kind returns "publish".
func (Publish) Kind() string { return "publish" }

// DigestOf returns the digest of a profile's bytes.
func DigestOf(profile []byte) ReleaseDigest {
	sum := sha256.Sum256(profile)
	return ReleaseDigest(digestPrefix + hex.EncodeToString(sum[:]))
}

func (c Publish) decide(s *State, x Context) ([]Event, error) {
	if x.Principal.Account == "" {
		return nil, refuse(ErrForbidden, "publish %s: only an account publishes", c.Name)
	}
	publisher, err := s.ActFor(x.Principal, c.Account, RightInstances)
	if err != nil {
		return nil, err
	}
	if _, ok := s.Account(publisher); !ok {
		return nil, refuse(ErrNotFound, "publish %s: account %s is not known", c.Name, publisher.plain())
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	now := naming{c.Name, publisher, c.Digest, x.At}
	was, named := s.namings.get(Key{A: c.Name, B: string(publisher)})
	if named {
		now.Since = was.Since
	}
	old, known := s.Release(c.Digest)
	switch {
	case known && old.Name != c.Name:
		return nil, refuse(ErrConflict, "publish %s: the same profile is published as %s", c.Name, old.Name)
	case known && named && was.Release == c.Digest:
		return nil, nil
	case known:
		return []Event{Published{old, now, nil}}, nil
	case s.profileSize+int64(len(c.Profile)) > MaxProfiles:
		return nil, refuse(ErrExhausted, "publish %s: the mesh holds %d bytes of profiles already: unpublish some", c.Name, s.profileSize)
	}
	return []Event{Published{Release{
		Digest: c.Digest, Name: c.Name, Version: c.Version, Title: c.Title, Types: c.Types,
		Schema: c.Schema, Size: len(c.Profile), Publisher: publisher, Published: x.At,
	}, now, c.Profile}}, nil
}

func (c Publish) check() error {
	if err := checkDigest(c.Digest); err != nil {
		return err
	}
	if err := checkName("release", c.Name, MaxLabel); err != nil {
		return err
	}
	switch {
	case len(c.Profile) == 0 || len(c.Profile) > MaxProfile:
		return refuse(ErrInvalid, "publish %s: profile of %d bytes, 1 to %d expected", c.Name, len(c.Profile), MaxProfile)
	case DigestOf(c.Profile) != c.Digest:
		return refuse(ErrInvalid, "publish %s: the profile does not have the digest %s", c.Name, c.Digest)
	case len(c.Version) > MaxName || !printable(c.Version):
		return refuse(ErrInvalid, "publish %s: version: at most %d printable bytes", c.Name, MaxName)
	case len(c.Title) > MaxReason || !printable(c.Title):
		return refuse(ErrInvalid, "publish %s: title: at most %d printable bytes", c.Name, MaxReason)
	case len(c.Schema) > MaxSchema || len(c.Schema) > 0 && !json.Valid(c.Schema):
		return refuse(ErrInvalid, "publish %s: schema: JSON of at most %d bytes expected", c.Name, MaxSchema)
	case len(c.Types) > MaxTypes:
		return refuse(ErrInvalid, "publish %s: %d types, at most %d", c.Name, len(c.Types), MaxTypes)
	}
	for n, t := range c.Types {
		if err := checkName("type", t, MaxName); err != nil {
			return err
		}
		if slices.Contains(c.Types[:n], t) {
			return refuse(ErrInvalid, "publish %s: type %s twice", c.Name, t)
		}
	}
	return nil
}

// Unpublish removes a release that no computer is to have.
type Unpublish struct {
	Digest ReleaseDigest `cbor:"1,keyasint"`
}

// Kind returns "unpublish".
func (Unpublish) Kind() string { return "unpublish" }

func (c Unpublish) decide(s *State, x Context) ([]Event, error) {
	release, ok := s.Release(c.Digest)
	switch {
	case !ok:
		return nil, refuse(ErrNotFound, "unpublish: release %s is not known", c.Digest)
	}
	if _, err := s.ActFor(x.Principal, release.Publisher, RightInstances); err != nil {
		return nil, refuse(ErrForbidden, "unpublish %s: it was published by %s: %v", release.Name, release.Publisher, err)
	}
	if supplies := collect(s.SuppliesOf(c.Digest)); len(supplies) > 0 {
		return nil, refuse(ErrConflict, "unpublish %s: computer %s has it: remove it there first (slapd supply %s COMPUTER --state destroyed)", release.Name, supplies[0].Computer, release.Name)
	}
	return []Event{Unpublished{release}}, nil
}

// SetSupply orders that a computer should have, or drop, a release. Its
// owner and operators may.
type SetSupply struct {
	Computer  ComputerID    `cbor:"1,keyasint"`
	Release   ReleaseDigest `cbor:"2,keyasint"`
	Requested SupplyState   `cbor:"3,keyasint"` // available or destroyed
}

// Kind returns "set-supply".
func (SetSupply) Kind() string { return "set-supply" }

func (c SetSupply) decide(s *State, x Context) ([]Event, error) {
	computer, ok := s.Computer(c.Computer)
	if !ok || computer.State == ComputerLeft {
		return nil, refuse(ErrNotFound, "supply: computer %.80q is not known", string(c.Computer))
	}
	release, ok := s.Release(c.Release)
	if !ok {
		return nil, refuse(ErrNotFound, "supply %s: release %.80q is not known", computer.title(), string(c.Release))
	}
	if _, err := s.ActFor(x.Principal, computer.Account, RightAdmin); err != nil {
		return nil, refuse(ErrForbidden, "supply %s: the computer belongs to %s: %v", computer.title(), computer.Account, err)
	}
	was, ordered := s.Supply(c.Computer, c.Release)
	switch c.Requested {
	case SupplyAvailable:
		if ordered && was.Requested == SupplyAvailable {
			return nil, nil
		}
		return []Event{SupplyOrdered{waiting(c.Computer, c.Release, x), release.Name, computer.title(), computer.Account}}, nil
	case SupplyDestroyed:
		if !ordered || was.Requested == SupplyDestroyed {
			return nil, nil
		}
		for i := range s.InstancesOn(c.Computer) {
			if i.Release == c.Release {
				return nil, refuse(ErrConflict, "supply %s: %s of %s runs %s there: destroy it first", computer.title(), i.Reference, i.Account, release.Name)
			}
		}
		was.Requested, was.Changed = SupplyDestroyed, x.At
		return []Event{SupplyOrdered{was, release.Name, computer.title(), computer.Account}}, nil
	case SupplyWaiting, SupplyBuilding, SupplyError:
	}
	return nil, refuse(ErrInvalid, "supply %s: state %q: available or destroyed expected", computer.title(), c.Requested)
}

// waiting returns the supply of a computer that has not begun.
func waiting(id ComputerID, d ReleaseDigest, x Context) Supply {
	return Supply{Computer: id, Release: d, Requested: SupplyAvailable, State: SupplyWaiting, Changed: x.At}
}

// Published says that a publisher means a release by its name.
type Published struct {
	Release Release
	Naming  naming
	Profile []byte // nil if it was known
}

func (e Published) String() string {
	return fmt.Sprintf("published %s %s by %s", e.Release.Name, e.Release.Version, e.Naming.Publisher)
}

func (e Published) kind() string { return "published" }

func (e Published) about() subject { return subject{account: e.Naming.Publisher} }

func (e Published) evolve(s *State) {
	if e.Profile != nil {
		s.setProfile(profile{e.Release.Digest, e.Profile})
		s.setRelease(e.Release)
	}
	s.setNaming(e.Naming)
}

// Unpublished says that a release is not known any more.
type Unpublished struct{ Release Release }

func (e Unpublished) String() string {
	return fmt.Sprintf("unpublished %s %s", e.Release.Name, e.Release.Version)
}

func (e Unpublished) kind() string { return "unpublished" }

func (e Unpublished) about() subject { return subject{account: e.Release.Publisher} }

func (e Unpublished) evolve(s *State) {
	for _, n := range collect(values(s.namings.within(e.Release.Name))) {
		if n.Release == e.Release.Digest {
			s.dropNaming(n.Name, n.Publisher)
		}
	}
	s.dropRelease(e.Release.Digest)
	s.dropProfile(e.Release.Digest)
}

// SupplyOrdered says that a computer should have, or drop, a release.
type SupplyOrdered struct {
	Supply  Supply
	Release string
	Name    string      // of the computer
	Account AccountName // of its owner
}

func (e SupplyOrdered) String() string {
	return fmt.Sprintf("ordered %s on %s: %s", e.Release, e.Name, e.Supply.Requested)
}

func (e SupplyOrdered) kind() string { return "supply-ordered" }

func (e SupplyOrdered) about() subject {
	return subject{account: e.Account, computer: e.Supply.Computer}
}

func (e SupplyOrdered) evolve(s *State) { s.setSupply(e.Supply) }
