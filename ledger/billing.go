package ledger

import (
	"iter"
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
)

// Accounts of the book that are nobody's. Their names cannot be those of
// accounts of the mesh.
const (
	MintAccount = "@mint" // where credits come from: its balance is minus all that there are
	MeshAccount = "@mesh" // what the mesh keeps of what owners earn
)

// Terms are what the mesh agrees on about money. The zero Terms are the
// default.
type Terms struct {
	Fee     uint32        `cbor:"1,keyasint,omitempty"` // of what owners earn, in millionths
	Grace   time.Duration `cbor:"2,keyasint,omitempty"` // how long who has spent too much may go on; default a day
	Reserve time.Duration `cbor:"3,keyasint,omitempty"` // for how long a request sets aside what it will cost at least; default an hour
}

func (t Terms) withDefaults() Terms {
	if t.Grace == 0 {
		t.Grace = 24 * time.Hour
	}
	if t.Reserve == 0 {
		t.Reserve = time.Hour
	}
	return t
}

// A Price is what an account asks: for its computers; as the publisher of a
// release, for the use of that; or for places inside its own instances of a
// release.
type Price struct {
	Account AccountName    `cbor:"1,keyasint"`
	Release string         `cbor:"2,keyasint,omitempty"` // name; "" for computers
	List    book.PriceList `cbor:"3,keyasint"`
	Places  bool           `cbor:"100,keyasint,omitempty"`
}

func (p Price) key() Key { return priceKey(p.Account, p.Release, p.Places) }

func priceKey(account AccountName, release string, places bool) Key {
	k := Key{A: string(account), B: release}
	if places {
		k.N = 1
	}
	return k
}

// A Charge is the bill of one instance. It is open from the decision that
// gives the instance a partition to the one that frees it; what was used
// before its end is still billed afterwards.
type Charge struct {
	Instance  InstanceID  `cbor:"1,keyasint"`
	Payer     AccountName `cbor:"2,keyasint"`
	Owner     AccountName `cbor:"3,keyasint"` // of the computer
	Publisher AccountName `cbor:"4,keyasint"`
	Release   string      `cbor:"5,keyasint"` // name
	Computer  ComputerID  `cbor:"6,keyasint"`
	From      time.Time   `cbor:"7,keyasint"`
	Until     time.Time   `cbor:"8,keyasint"` // zero while it is open
	Billed    time.Time   `cbor:"9,keyasint"` // up to here

	Reserved  book.Amount     `cbor:"10,keyasint,omitempty"` // of the payer's
	Used      book.Quantities `cbor:"11,keyasint"`
	ToOwner   book.Amount     `cbor:"12,keyasint,omitempty"` // the mesh's fee included
	ToRelease book.Amount     `cbor:"13,keyasint,omitempty"`
	ToMesh    book.Amount     `cbor:"14,keyasint,omitempty"` // the fee, a part of ToOwner
	OwnerRest book.Rest       `cbor:"15,keyasint,omitempty"`
	OtherRest book.Rest       `cbor:"16,keyasint,omitempty"` // the publisher's

	Review Review `cbor:"17,keyasint"`

	// Former are those who owned the computer before Owner did, the first
	// first. ToOwner and ToMesh are of all owners.
	Former []Tenure `cbor:"30,keyasint,omitempty"`

	// Reviews are all that the payer says of it, the last said last; Review is
	// that one. From rules 4 on.
	Reviews []Review `cbor:"60,keyasint,omitempty"`

	// Host is whose instance a shared one is inside: who asks for the place.
	// From rules 4 on.
	Host     AccountName `cbor:"100,keyasint,omitempty"`
	ToHost   book.Amount `cbor:"101,keyasint,omitempty"` // the mesh's fee included
	HostFee  book.Amount `cbor:"102,keyasint,omitempty"` // the fee, a part of ToHost, and none of ToMesh
	HostRest book.Rest   `cbor:"103,keyasint,omitempty"`

	// Cut says that the bill ended while its computer was silent, which may
	// have gone on: of a report that reaches beyond Until a part is billed.
	Cut bool `cbor:"104,keyasint,omitempty"`
}

func (c Charge) key() Key { return Key{N: uint64(c.Instance)} }

// earners iterates over those who earn from c.
func (c Charge) earners() iter.Seq[AccountName] {
	return func(yield func(AccountName) bool) {
		for _, f := range c.Former {
			if !yield(f.Owner) {
				return
			}
		}
		_ = yield(c.Owner) && yield(c.Publisher) && (c.Host == "" || yield(c.Host))
	}
}

// Open reports whether the instance still holds its partition.
func (c Charge) Open() bool { return c.Until.IsZero() }

// Total is what was billed so far.
func (c Charge) Total() book.Amount { return c.ToOwner + c.ToRelease + c.ToHost }

// A Review is what the payer says of a bill.
type Review struct {
	Verdict Verdict   `cbor:"1,keyasint,omitempty"`
	Through time.Time `cbor:"2,keyasint"` // the usage up to here is meant
	Note    string    `cbor:"3,keyasint,omitempty"`
	At      time.Time `cbor:"4,keyasint"`
	From    time.Time `cbor:"60,keyasint,omitzero"` // the usage from here on is meant; zero is from the beginning
}

// covers reports whether r is about all that other is about.
func (r Review) covers(other Review) bool {
	return !other.From.Before(r.From) && !other.Through.After(r.Through)
}

// A Verdict is accepted, disputed, or nothing.
type Verdict string

// The verdicts.
const (
	VerdictAccepted Verdict = "accepted"
	VerdictDisputed Verdict = "disputed"
)

// A Meter is how far the usage reports of a computer are billed.
type Meter struct {
	Computer ComputerID `cbor:"1,keyasint"`
	Next     uint64     `cbor:"2,keyasint"` // the number that is billed next
	To       time.Time  `cbor:"3,keyasint"` // where the last report ended
	Refused  uint64     `cbor:"4,keyasint,omitempty"`
	Held     int        `cbor:"5,keyasint,omitempty"` // reports that wait for one before them
	Forged   time.Time  `cbor:"6,keyasint"`           // when one with a wrong signature was told of last
}

// heldUsage is a report that arrived before those that it follows.
type heldUsage struct {
	Computer ComputerID  `cbor:"1,keyasint"`
	Number   uint64      `cbor:"2,keyasint"`
	Report   UsageReport `cbor:"3,keyasint"`
}

// A Payment is money that somebody moved on purpose. A correction is another
// one.
type Payment struct {
	ID   string      `cbor:"1,keyasint"` // chosen by who paid, so that asking twice pays once
	From AccountName `cbor:"2,keyasint"`
	To   AccountName `cbor:"3,keyasint"`
	Sum  book.Amount `cbor:"4,keyasint"`
	Note string      `cbor:"5,keyasint,omitempty"`
	By   AccountName `cbor:"6,keyasint"`
	At   time.Time   `cbor:"7,keyasint"`
	N    uint64      `cbor:"8,keyasint"` // in the order in which they were made
}

// paidAt finds the oldest payment that is remembered.
type paidAt struct {
	N  uint64 `cbor:"1,keyasint"`
	ID string `cbor:"2,keyasint"`
}

// Bounds on billing.
const (
	MaxPayments    = 65_536    // that are remembered, to tell a retry
	MaxHeldReports = 64        // of one computer
	MaxHeldEntries = 4_096     // in all of them together
	MaxPrices      = 1_000     // of one account
	MaxStopped     = 1_000     // instances that one command stops
	MaxReviews     = 32        // of one bill
	MaxCores       = 4_096_000 // thousandths of a core of one computer
)

// Terms returns the terms of the mesh.
func (s *State) Terms() Terms {
	m, _ := s.Mesh()
	return m.Terms.withDefaults()
}

// Wallet returns the money of an account.
func (s *State) Wallet(account AccountName) Wallet {
	if w, ok := s.wallets.get(Key{A: string(account)}); ok {
		return w
	}
	m, _ := s.Mesh()
	return Wallet{Account: account, Limited: m.Open && account != MintAccount && account != MeshAccount}
}

// Wallets iterates over the money of all accounts that ever had any.
func (s *State) Wallets() iter.Seq[Wallet] { return values(s.wallets.all()) }

// Rates returns what an account asks at a moment, for its computers if no
// release is named.
func (s *State) Rates(account AccountName, release string, at time.Time) book.Rates {
	p, _ := s.prices.get(priceKey(account, release, false))
	return p.List.At(at)
}

// Charge returns the bill of an instance, for as long as that is remembered.
func (s *State) Charge(id InstanceID) (Charge, bool) { return s.charges.get(Key{N: uint64(id)}) }

// Pays iterates over the bills of an account's instances, by reference.
func (s *State) Pays(account AccountName) iter.Seq[Charge] {
	return func(yield func(Charge) bool) {
		for i := range s.Instances(account) {
			if c, ok := s.Charge(i.ID); ok && !yield(c) {
				return
			}
		}
	}
}

// Earns iterates over the bills from which an account earns, as the owner of
// the computer or the publisher of the release, the newest first.
func (s *State) Earns(account AccountName) iter.Seq[Charge] {
	return func(yield func(Charge) bool) {
		ids := collect(s.below(&s.earners, string(account), instanceBits))
		for _, id := range slices.Backward(ids) {
			if c, ok := s.Charge(id); ok && !yield(c) {
				return
			}
		}
	}
}

// Prices iterates over what all accounts ask, by account and release.
func (s *State) Prices() iter.Seq[Price] { return values(s.prices.all()) }

// Meter returns how far the usage of a computer is billed.
func (s *State) Meter(id ComputerID) Meter {
	if m, ok := s.meters.get(Key{A: string(id)}); ok {
		return m
	}
	return Meter{Computer: id, Next: 1}
}

// charge returns the bill that begins with an instance, and what the request
// alone costs.
func (s *State) charge(i Instance, at time.Time) (Charge, book.Transfer, error) {
	computer, _ := s.Computer(i.Computer)
	release, _ := s.Release(i.Release)
	c := Charge{
		Instance: i.ID, Payer: i.Account, Owner: computer.Account, Publisher: release.Publisher,
		Release: i.ReleaseName, Computer: i.Computer, From: at, Billed: at,
	}
	hold := book.Quantities{Partition: uint64(s.Terms().Reserve)}
	held := []book.Rates{s.Rates(c.Owner, "", at), s.Rates(c.Publisher, c.Release, at)}
	if i.Shared {
		c.Host = s.hostOf(i)
		held = []book.Rates{s.PlaceRates(c.Host, c.Release, at)} // it has no partition, but a place
	}
	for _, rates := range held {
		part, _, err := rates.Cost(hold, 0)
		if err == nil {
			c.Reserved, err = c.Reserved.Plus(part)
		}
		if err != nil || c.Reserved > maxBalance {
			return c, nil, refuse(ErrInvalid, "request %s: what it costs is out of range", i.Reference)
		}
	}
	return s.bill(c, book.Quantities{Requests: 1}, at, at)
}

// openCharges opens the bills of the instances that are there when the mesh
// begins to bill. Nothing has a price yet.
func (s *State) openCharges() {
	for _, i := range collect(values(s.instances.all())) {
		if i.Settled() {
			continue
		}
		if c, _, err := s.charge(i, s.counters.At); err == nil {
			s.setCharge(c)
		}
	}
}

// bill adds what was used to a charge, at the rates of the given moment, and
// returns who pays whom.
func (s *State) bill(c Charge, used book.Quantities, rated, until time.Time) (Charge, book.Transfer, error) {
	earner := c.ownerAt(rated)
	below := used
	if c.Host != "" {
		below.Partition = 0 // the partition is its host's, and the place is inside that
	}
	owner, ownerRest, err := s.Rates(earner.Owner, "", rated).Cost(below, earner.Rest)
	if err != nil {
		return c, nil, refuse(ErrInvalid, "bill %s: %v", c.Instance, err)
	}
	release, otherRest, err := s.Rates(c.Publisher, c.Release, rated).Cost(below, c.OtherRest)
	if err != nil {
		return c, nil, refuse(ErrInvalid, "bill %s: %v", c.Instance, err)
	}
	host, hostRest, err := s.PlaceRates(c.Host, c.Release, rated).Cost(used, c.HostRest)
	if err != nil {
		return c, nil, refuse(ErrInvalid, "bill %s: %v", c.Instance, err)
	}
	if owner > maxBalance-c.ToOwner || release > maxBalance-c.ToRelease || host > maxBalance-c.ToHost {
		return c, nil, refuse(ErrInvalid, "bill %s: what it costs is out of range", c.Instance)
	}
	if c.Used, err = c.Used.Plus(used); err != nil {
		return c, nil, refuse(ErrInvalid, "bill %s: %v", c.Instance, err)
	}
	fee, hostFee := book.Share(owner, s.Terms().Fee), book.Share(host, s.Terms().Fee)
	c.earn(earner, owner, fee, ownerRest)
	c.OtherRest, c.Billed, c.ToRelease = otherRest, until, c.ToRelease+release
	c.HostRest, c.ToHost, c.HostFee = hostRest, c.ToHost+host, c.HostFee+hostFee
	transfer, err := book.NewTransfer(
		book.Posting{Account: string(c.Payer), Amount: -(owner + release + host)},
		book.Posting{Account: string(earner.Owner), Amount: owner - fee},
		book.Posting{Account: string(c.Publisher), Amount: release},
		book.Posting{Account: string(c.Host), Amount: host - hostFee},
		book.Posting{Account: MeshAccount, Amount: fee + hostFee},
	)
	if err != nil {
		return c, nil, refuse(ErrInvalid, "bill %s: %v", c.Instance, err)
	}
	return c, transfer, nil
}
