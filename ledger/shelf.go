package ledger

import (
	"fmt"
)

// A Record is a row as it travels: in snapshots and in slices.
type Record struct {
	_     struct{} `cbor:",toarray"`
	Table Table
	Key   Key    // of a deleted row only; others hold theirs
	Value []byte // its CBOR; empty if the row was deleted
}

// A shelf is a table of the state whose rows have no particular type.
type shelf interface {
	each(yield func(Key, any) bool)
	row(k Key) (any, bool)

	// encoded is each, with the rows in their byte form.
	encoded(yield func(Key, []byte) bool)

	// parse decodes a row. What it returns stores it, with all that rests on
	// it; other rows may be parsed meanwhile.
	parse(decode func([]byte, any) error, value []byte) (store func(), err error)

	// batch returns one that loads rows of a snapshot.
	batch() batch

	// unload removes a row, with all that rests on it.
	unload(k Key)
}

type shelfOf[V any] struct {
	rows *rows[V]
	set  func(V)
	drop func(Key)
}

func (h shelfOf[V]) each(yield func(Key, any) bool) {
	for k, v := range h.rows.all() {
		if !yield(k, v) {
			return
		}
	}
}

func (h shelfOf[V]) encoded(yield func(Key, []byte) bool) { h.rows.encoded(yield) }

func (h shelfOf[V]) row(k Key) (any, bool) { return h.rows.get(k) }

func (h shelfOf[V]) parse(decode func([]byte, any) error, value []byte) (store func(), err error) {
	var v V
	if err := decode(value, &v); err != nil {
		return nil, err
	}
	if err := checkRow(&v); err != nil {
		return nil, err
	}
	return func() { h.set(v) }, nil
}

// checkRow refuses a row that contradicts itself.
func checkRow(v any) error {
	if p, ok := v.(*profile); ok && DigestOf(p.Data) != p.Digest {
		return fmt.Errorf("profile %.80q does not have that digest", string(p.Digest))
	}
	return nil
}

func (h shelfOf[V]) batch() batch { return &batchOf[V]{rows: h.rows, set: h.set} }

func (h shelfOf[V]) unload(k Key) { h.drop(k) }

// tables lists all tables in the order in which a snapshot has them: what an
// index of one row looks up in another comes first.
var tables = [...]Table{
	tableMesh, tablePrices, tableAccounts, tablePeers, tableTokens, tableComputers, tableGaps, tableReleases,
	tableNamings, tableProfiles, tableSupplies, tableInstances, tableGraves, tableReturned, tableEvents,
	tableWallets, tableCharges, tableMeters, tableHeld, tablePayments, tablePaidAt,
	tableSecrets, tableRefusals,
	tableMembers,
	tableApplicants,
}

// shelf returns the table of that number.
func (s *State) shelf(id Table) (shelf, error) {
	switch id {
	case tableMesh:
		return shelfOf[Mesh]{&s.mesh, s.setMesh, func(k Key) { drop(s, &s.mesh, k) }}, nil
	case tableAccounts:
		return shelfOf[Account]{&s.accounts, s.setAccount, func(k Key) { s.dropAccount(AccountName(k.A)) }}, nil
	case tablePeers:
		return shelfOf[Peer]{&s.peers, s.setPeer, func(k Key) { s.dropPeer(PeerID(k.A)) }}, nil
	case tableTokens:
		return shelfOf[Token]{&s.tokens, s.setToken, func(k Key) { s.dropToken(TokenID(k.A)) }}, nil
	case tableComputers:
		return shelfOf[Computer]{&s.computers, s.setComputer, func(k Key) { s.dropComputer(ComputerID(k.A)) }}, nil
	case tableGaps:
		return shelfOf[gap]{&s.gaps, s.setGap, func(k Key) { drop(s, &s.gaps, k) }}, nil
	case tableReleases:
		return shelfOf[Release]{&s.releases, s.setRelease, func(k Key) { s.dropRelease(ReleaseDigest(k.A)) }}, nil
	case tableNamings:
		return shelfOf[naming]{&s.namings, s.setNaming, func(k Key) { s.dropNaming(k.A, AccountName(k.B)) }}, nil
	case tableProfiles:
		return shelfOf[profile]{&s.profiles, s.setProfile, func(k Key) { s.dropProfile(ReleaseDigest(k.A)) }}, nil
	case tableSupplies:
		return shelfOf[Supply]{&s.supplies, s.setSupply, func(k Key) { s.dropSupply(ComputerID(k.A), ReleaseDigest(k.B)) }}, nil
	case tableInstances:
		return shelfOf[Instance]{&s.instances, s.setInstance, func(k Key) { s.dropInstance(InstanceID(k.N)) }}, nil
	case tableGraves:
		return shelfOf[grave]{&s.graves, s.setGrave, func(k Key) { drop(s, &s.graves, k) }}, nil
	case tableReturned:
		return shelfOf[returned]{&s.returned, s.setReturned, func(k Key) { drop(s, &s.returned, k) }}, nil
	case tableEvents:
		return shelfOf[Entry]{&s.events, s.setEntry, func(k Key) { drop(s, &s.events, k) }}, nil
	default:
		return s.moneyShelf(id)
	}
}

// moneyShelf returns the table of that number, if it is about money.
func (s *State) moneyShelf(id Table) (shelf, error) {
	switch id {
	case tableWallets:
		return shelfOf[Wallet]{&s.wallets, s.setWallet, func(k Key) { drop(s, &s.wallets, k) }}, nil
	case tablePrices:
		return shelfOf[Price]{&s.prices, s.setPrice, s.dropPrice}, nil
	case tableCharges:
		return shelfOf[Charge]{&s.charges, s.setCharge, func(k Key) { s.dropCharge(InstanceID(k.N)) }}, nil
	case tableMeters:
		return shelfOf[Meter]{&s.meters, s.setMeter, func(k Key) { drop(s, &s.meters, k) }}, nil
	case tableHeld:
		return shelfOf[heldUsage]{&s.held, s.setHeld, func(k Key) { drop(s, &s.held, k) }}, nil
	case tablePayments:
		return shelfOf[Payment]{&s.payments, s.setPayment, func(k Key) { drop(s, &s.payments, k) }}, nil
	case tablePaidAt:
		return shelfOf[paidAt]{&s.paidAt, s.setPaidAt, func(k Key) { drop(s, &s.paidAt, k) }}, nil
	default:
		return s.historyShelf(id)
	}
}

// historyShelf returns the table of that number, if it is about history.
func (s *State) historyShelf(id Table) (shelf, error) {
	switch id {
	case tableSecrets:
		return shelfOf[secrets]{&s.secrets, s.setSecrets, func(k Key) { drop(s, &s.secrets, k) }}, nil
	case tableRefusals:
		return shelfOf[refusals]{&s.refusals, s.setRefusal, func(k Key) { drop(s, &s.refusals, k) }}, nil
	default:
		return s.peopleShelf(id)
	}
}

// peopleShelf returns the table of that number, if it is about people.
func (s *State) peopleShelf(id Table) (shelf, error) {
	switch id {
	case tableMembers:
		return shelfOf[Membership]{&s.members, s.setMember, func(k Key) { s.dropMember(AccountName(k.A), AccountName(k.B)) }}, nil
	case tableApplicants:
		return shelfOf[Applicant]{&s.applicants, s.setApplicant, func(k Key) { s.dropApplicant(PeerID(k.A)) }}, nil
	default:
		return nil, fmt.Errorf("table %d is not known", id)
	}
}

// Marshal returns the one byte form of v: what is logged, sent and hashed.
func Marshal(v any) ([]byte, error) { return encode(v) }

// Unmarshal reads what Marshal of this or of a newer version made: a field
// that is not known is skipped. Commands and snapshots are read more
// strictly, by [Parse] and [ReadSnapshot].
func Unmarshal(data []byte, v any) error { return lenient.Unmarshal(data, v) }
