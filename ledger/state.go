package ledger

import (
	"cmp"
	"strings"
	"time"

	"github.com/slapmesh/slapmesh/ledger/placement"
	"github.com/slapmesh/slapmesh/ledger/table"
)

// A State is what the mesh has agreed so far. Use [NewState].
//
// A State is not safe for concurrent use; [State.Copy] takes constant time
// and gives another goroutine one of its own. Package replica does so.
type State struct {
	index    uint64 // of the last entry that was applied
	partial  bool   // a slice: answers, but never decides
	counters Counters
	sum      Hash // of all rows

	mesh      rows[Mesh]
	accounts  rows[Account]
	peers     rows[Peer]
	tokens    rows[Token]
	computers rows[Computer]
	gaps      rows[gap]
	releases  rows[Release]
	namings   rows[naming]
	profiles  rows[profile]
	supplies  rows[Supply]
	instances rows[Instance]
	graves    rows[grave]
	returned  rows[returned]
	events    rows[Entry]
	wallets   rows[Wallet]
	prices    rows[Price]
	charges   rows[Charge]
	meters    rows[Meter]
	held      rows[heldUsage]
	payments  rows[Payment]
	paidAt    rows[paidAt]
	secrets   rows[secrets]
	refusals  rows[refusals]
	members   rows[Membership]

	applicants rows[Applicant]

	// What follows is computed from the rows.
	tokensBy    table.Index[AccountName, TokenID]
	digests     table.Table[string, TokenID]
	suppliesBy  table.Index[ReleaseDigest, ComputerID]
	references  table.Table[Key, InstanceID]    // account, reference, parent: of those that are not destroyed
	buried      table.Table[Key, InstanceID]    // account, reference and parent, id: of those that are
	links       table.Table[Key, InstanceID]    // see Instance.links
	partitions  table.Table[uint64, InstanceID] // see placeOf
	addresses   table.Table[Address, InstanceID]
	earners     table.Table[uint64, InstanceID] // owners and publishers of bills: see earningOf
	ordinals    table.Table[Key, InstanceID]    // numbers of names
	ordinalOf   map[string]uint64               // some of them, while a snapshot is loaded
	owned       table.Index[AccountName, ComputerID]
	upcoming    table.Table[Key, InstanceID] // when, who: prices of computers that are not in force yet
	memberOf    table.Table[Key, InstanceID] // account, project; the value says nothing
	tallies     table.Table[Key, stored]     // by account
	spreads     table.Table[Key, int64]      // account, computer: how many instances
	places      placement.Index
	changes     []Change // by the Evolve or the Merge that is going on
	loading     *loaded  // the row that a snapshot is putting
	later       *later   // while it does
	profileSize int64
	counted     map[AccountName]Tally // of the rows that a snapshot is putting
	spreading   map[Key]int64         // the same

	hot hotSet // rows that are kept as values besides

	// For history: see [State.Chronicle].
	chronicled bool
	facts      []Fact
	tracing    bool
	trace      []byte
}

// Counters are what the mesh numbers.
type Counters struct {
	At       time.Time  `cbor:"1,keyasint"`            // of the last log entry
	Instance InstanceID `cbor:"2,keyasint"`            // the last one
	Address  uint32     `cbor:"3,keyasint"`            // how many were ever given out
	Returned uint64     `cbor:"4,keyasint"`            // how many addresses came back
	Grave    uint64     `cbor:"5,keyasint"`            // how many instances were destroyed
	Event    uint64     `cbor:"6,keyasint"`            // the last one
	Payment  uint64     `cbor:"7,keyasint,omitempty"`  // the last one
	Facts    uint64     `cbor:"28,keyasint,omitempty"` // how many there are
}

// A gap is a partition below Computer.Next that nobody holds.
type gap struct {
	Computer ComputerID `cbor:"1,keyasint"`
	N        int        `cbor:"2,keyasint"`
}

// A naming is the release that a publisher means by a name.
type naming struct {
	Name      string        `cbor:"1,keyasint"`
	Publisher AccountName   `cbor:"2,keyasint"`
	Release   ReleaseDigest `cbor:"3,keyasint"`
	Since     time.Time     `cbor:"4,keyasint"` // when the publisher used the name first
}

// A profile is the bytes of a release.
type profile struct {
	Digest ReleaseDigest `cbor:"1,keyasint"`
	Data   []byte        `cbor:"2,keyasint"`
}

// A grave queues a destroyed instance for being forgotten.
type grave struct {
	N        uint64     `cbor:"1,keyasint"`
	Instance InstanceID `cbor:"2,keyasint"`
}

// A returned address waits until all others have been given out.
type returned struct {
	N       uint64  `cbor:"1,keyasint"`
	Address Address `cbor:"2,keyasint"`
}

// NewState returns the state of a mesh that is not founded.
func NewState() *State {
	return &State{
		mesh:       newRows[Mesh](tableMesh),
		accounts:   newRows[Account](tableAccounts),
		peers:      newRows[Peer](tablePeers),
		tokens:     newRows[Token](tableTokens),
		computers:  newRows[Computer](tableComputers),
		gaps:       newRows[gap](tableGaps),
		releases:   newRows[Release](tableReleases),
		namings:    newRows[naming](tableNamings),
		profiles:   newRows[profile](tableProfiles),
		supplies:   newRows[Supply](tableSupplies),
		instances:  newColdRows(tableInstances, &coldInstances),
		graves:     newRows[grave](tableGraves),
		returned:   newRows[returned](tableReturned),
		events:     newRows[Entry](tableEvents),
		wallets:    newRows[Wallet](tableWallets),
		prices:     newRows[Price](tablePrices),
		charges:    newColdRows(tableCharges, &coldCharges),
		meters:     newRows[Meter](tableMeters),
		held:       newRows[heldUsage](tableHeld),
		payments:   newRows[Payment](tablePayments),
		paidAt:     newRows[paidAt](tablePaidAt),
		secrets:    newRows[secrets](tableSecrets),
		refusals:   newRows[refusals](tableRefusals),
		tokensBy:   table.NewIndex(cmp.Compare[AccountName], cmp.Compare[TokenID]),
		digests:    table.New[string, TokenID](strings.Compare),
		suppliesBy: table.NewIndex(cmp.Compare[ReleaseDigest], cmp.Compare[ComputerID]),
		references: table.New[Key, InstanceID](Key.Compare),
		buried:     table.New[Key, InstanceID](Key.Compare),
		links:      table.New[Key, InstanceID](Key.Compare),
		partitions: newNumbers(),
		addresses:  newAddresses(),
		earners:    table.New[uint64, InstanceID](cmp.Compare[uint64]),
		ordinals:   table.New[Key, InstanceID](Key.Compare),
		owned:      table.NewIndex(cmp.Compare[AccountName], cmp.Compare[ComputerID]),
		upcoming:   table.New[Key, InstanceID](Key.Compare),
		members:    newRows[Membership](tableMembers),
		applicants: newRows[Applicant](tableApplicants),
		memberOf:   table.New[Key, InstanceID](Key.Compare),
		tallies:    table.New[Key, stored](Key.Compare),
		spreads:    table.New[Key, int64](Key.Compare),
		places:     placement.New(),
	}
}

// NewPartial returns an empty slice, to be filled by [State.Merge].
func NewPartial() *State {
	s := NewState()
	s.partial = true
	return s
}

// Copy returns a State that is equal now and changes independently. It takes
// constant time.
func (s *State) Copy() *State {
	c := *s
	c.mesh = s.mesh.copy()
	c.accounts = s.accounts.copy()
	c.peers = s.peers.copy()
	c.tokens = s.tokens.copy()
	c.computers = s.computers.copy()
	c.gaps = s.gaps.copy()
	c.releases = s.releases.copy()
	c.namings = s.namings.copy()
	c.profiles = s.profiles.copy()
	c.supplies = s.supplies.copy()
	c.instances = s.instances.copy()
	c.graves = s.graves.copy()
	c.returned = s.returned.copy()
	c.events = s.events.copy()
	c.wallets = s.wallets.copy()
	c.prices = s.prices.copy()
	c.charges = s.charges.copy()
	c.meters = s.meters.copy()
	c.held = s.held.copy()
	c.payments = s.payments.copy()
	c.paidAt = s.paidAt.copy()
	c.secrets = s.secrets.copy()
	c.refusals = s.refusals.copy()
	c.tokensBy = s.tokensBy.Copy()
	c.digests = s.digests.Copy()
	c.suppliesBy = s.suppliesBy.Copy()
	c.references = s.references.Copy()
	c.buried = s.buried.Copy()
	c.links = s.links.Copy()
	c.partitions = s.partitions.Copy()
	c.addresses = s.addresses.Copy()
	c.earners = s.earners.Copy()
	c.ordinals = s.ordinals.Copy()
	c.owned = s.owned.Copy()
	c.upcoming = s.upcoming.Copy()
	c.members = s.members.copy()
	c.applicants = s.applicants.copy()
	c.memberOf = s.memberOf.Copy()
	c.tallies = s.tallies.Copy()
	c.spreads = s.spreads.Copy()
	c.places = s.places.Copy()
	c.changes, c.chronicled, c.facts, c.hot = nil, false, nil, hotSet{}
	return &c
}

// Decide says what c would change, or refuses it with a [Refusal]. It
// changes nothing. The same state, command and context give the same answer
// on every peer.
func (s *State) Decide(c Command, x Context) ([]Event, error) {
	if s.partial {
		return nil, refuse(ErrUnavailable, "%s: this peer holds a slice of the ledger and cannot decide", c.Kind())
	}
	if _, founding := c.(Found); founding {
		return c.decide(s, x)
	}
	if _, founded := s.Mesh(); !founded {
		return nil, refuse(ErrUnavailable, "%s: the mesh is not founded yet", c.Kind())
	}
	if err := s.decidable(c); err != nil {
		return nil, err
	}
	who, err := s.Recognise(x.Principal, x.At)
	if err != nil {
		return s.refused(c, x, err), err
	}
	x.Principal = who
	events, err := c.decide(s, x)
	if err != nil && len(events) == 0 {
		events = s.refused(c, x, err)
	}
	return events, err
}

// Evolve records what Decide returned, and says which rows changed. It
// cannot fail: an event is a fact.
func (s *State) Evolve(events ...Event) []Change {
	for _, e := range events {
		s.evolve(e)
		s.remember(e)
	}
	changes := s.changes
	s.changes = nil
	return changes
}

// Advance says that s is about to contain the log entry at index, stamped
// with the given time. It returns the time at which the commands of the
// entry are to be decided: leaders' clocks differ, the ledger's never runs
// back.
func (s *State) Advance(index uint64, at time.Time) time.Time {
	s.index = index
	if at = at.UTC().Round(0); at.After(s.counters.At) {
		s.counters.At = at
		s.enforce()
	}
	return s.counters.At
}

// Index returns the index of the last log entry that s contains.
func (s *State) Index() uint64 { return s.index }

// Partial reports whether s is a slice.
func (s *State) Partial() bool { return s.partial }

// Counters returns what the mesh numbers.
func (s *State) Counters() Counters { return s.counters }
