package ledger

import (
	"fmt"
	"iter"
	"strings"
)

// A Viewer is a peer for which a slice is cut. Viewers can be compared: a
// slice that was cut for another viewer has to be cut anew.
type Viewer struct {
	Peer    PeerID
	Account AccountName
	All     bool // an operator that may hold the ledger: sees everything

	// Projects are those of its account, with the role in each, in the form
	// ",acme:owner,lab:viewer,".
	Projects string
}

// of reports whether an account is the viewer's own, or a project of it.
func (v Viewer) of(account AccountName) bool {
	return account == v.Account || v.rights(account) != 0
}

// Accounts lists the accounts whose rows the viewer is shown: its own and its
// projects.
func (v Viewer) Accounts() []AccountName {
	out := []AccountName{v.Account}
	for member := range strings.SplitSeq(strings.Trim(v.Projects, ","), ",") {
		if project, _, ok := strings.Cut(member, ":"); ok {
			out = append(out, AccountName(project))
		}
	}
	return out
}

// rights are what the viewer may do for an account.
func (v Viewer) rights(account AccountName) Rights {
	if v.All || account == v.Account {
		return AllRights
	}
	_, rest, _ := strings.Cut(v.Projects, ","+string(account)+":")
	role, _, _ := strings.Cut(rest, ",")
	return MemberRole(role).Rights()
}

// Viewer returns the viewer that a peer is, or refuses one that is not a
// member.
func (s *State) Viewer(id PeerID) (Viewer, error) {
	p, ok := s.Peer(id)
	if !ok || p.Revoked {
		return Viewer{}, refuse(ErrUnauthorized, "peer %s is not a member of this mesh", id)
	}
	v := Viewer{Peer: p.ID, Account: p.Account, All: p.Operator}
	if v.All {
		return v, nil
	}
	for m := range s.Projects(p.Account) {
		v.Projects += "," + string(m.Project) + ":" + string(m.Role)
	}
	if v.Projects != "" {
		v.Projects += ","
	}
	return v, nil
}

// A Frame brings a slice from one index to another. Frames are applied in
// order, with [State.Merge].
type Frame struct {
	Index    uint64   `cbor:"1,keyasint"`           // that the slice is at after this frame
	Counters Counters `cbor:"2,keyasint"`           // at that index
	Full     bool     `cbor:"3,keyasint,omitempty"` // begins anew: into an empty slice
	More     bool     `cbor:"4,keyasint,omitempty"` // the slice is not whole before the next frame
	Records  []Record `cbor:"5,keyasint,omitempty"`
}

// sees says what v is shown of the row value: a row, perhaps with less in it,
// or nothing.
//
// A slice has what everybody may know: the mesh, its accounts, who belongs to
// which project (a computer must know whom to let in to an instance), peers,
// computers and releases. Of tokens, supplies, instances and money it has
// those of the viewer's account, projects and computer, an outline of the
// instances that one on that computer requested, and where those are that one on
// that computer may reach; and of profiles those that its computer is to have. The digest of a token admits whoever knows
// it, so it stays with the voters, but for user tokens that can do no more
// than the viewer; so do the secrets of an instance, where the viewer may
// only look.
func (s *State) sees(v Viewer, value any) (any, bool) {
	switch r := value.(type) {
	case Mesh, Account, Peer, Computer, Release, naming, Price, Membership:
		return r, true
	case Token:
		if !v.All && !v.rights(r.Account).Has(RightAdmin) {
			return nil, false
		}
		if a, _ := s.Account(r.Account); !v.All && (r.Role != RoleUser || a.Operator) {
			r.Digest = nil
		}
		return r, true
	case Applicant:
		return r, v.All
	case profile:
		p, ok := s.Supply(ComputerID(v.Peer), r.Digest)
		return r, ok && p.Requested == SupplyAvailable
	case Instance:
		switch {
		case r.Computer == ComputerID(v.Peer) && !r.Shared, v.rights(r.Account).Has(RightInstances):
			return r, true
		case r.Computer == ComputerID(v.Peer) || s.requestedFrom(r, ComputerID(v.Peer)):
			return r.Outline(), true
		case !v.of(r.Account) && s.Near(ComputerID(v.Peer), r):
			return r.Sight(), true
		}
		return r.WithoutSecrets(), v.of(r.Account)
	case Supply, Wallet, Charge, Meter:
		account, computer := s.owners(r)
		return r, v.All || v.of(account) || computer == ComputerID(v.Peer)
	case Entry:
		everyones := r.Account == "" && r.Computer == ""
		return r, v.All || everyones || v.of(r.Account) || r.Computer == ComputerID(v.Peer)
	}
	return nil, false // gaps, graves, payments and the like: only who decides needs them
}

// concerns reports whether v may have seen, or may now see, the row of c.
func (v Viewer) concerns(c Change) bool {
	switch c.Table {
	case tableGaps, tableGraves, tableReturned, tableHeld, tablePayments, tablePaidAt, tableSecrets, tableRefusals:
		return false
	case tableTokens:
		return v.All || v.of(c.Account)
	case tableApplicants:
		return v.All
	case tableWallets, tableCharges, tableMeters:
		return v.All || v.of(c.Account) || c.Computer == ComputerID(v.Peer)
	case tableSupplies, tableInstances, tableEvents:
		everyones := c.Account == "" && c.Computer == ""
		return v.All || everyones || v.of(c.Account) || c.Computer == ComputerID(v.Peer)
	default:
		return true
	}
}

// frameBytes bounds the records of one frame, but for a record that is
// larger alone.
const frameBytes = 256 << 10

// Slice iterates over the rows that v is shown, table by table.
func (s *State) Slice(v Viewer) iter.Seq[Record] {
	return s.records(func(row any) (any, bool) { return s.sees(v, row) })
}

// FullFrames iterates over the frames that fill an empty slice for v.
func (s *State) FullFrames(v Viewer) iter.Seq[Frame] {
	return s.frames(func(row any) (any, bool) { return s.sees(v, row) })
}

// AllFrames iterates over the frames that make a slice equal to s, which is
// one itself. They are what a peer keeps on disk.
func (s *State) AllFrames() iter.Seq[Frame] {
	return s.frames(func(row any) (any, bool) { return row, true })
}

// frames iterates over the frames that fill an empty slice with what see
// shows.
func (s *State) frames(see func(row any) (any, bool)) iter.Seq[Frame] {
	return func(yield func(Frame) bool) {
		f := Frame{Index: s.index, Counters: s.counters, Full: true, More: true}
		size := 0
		for r := range s.records(see) {
			f.Records = append(f.Records, r)
			if size += len(r.Value); size < frameBytes {
				continue
			}
			if !yield(f) {
				return
			}
			f.Full, f.Records, size = false, nil, 0
		}
		f.More = false
		yield(f)
	}
}

// records iterates over the rows that see shows, table by table.
func (s *State) records(see func(row any) (any, bool)) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for _, id := range tables {
			shelf, _ := s.shelf(id)
			done := false
			shelf.each(func(_ Key, row any) bool {
				if seen, ok := see(row); ok {
					done = !yield(Record{Table: id, Value: mustEncode(seen)})
				}
				return !done
			})
			if done {
				return
			}
		}
	}
}

// NextFrame returns the frame that brings the slice of v to s, where changes
// are those since it was cut. The viewer must be the same at both ends.
func (s *State) NextFrame(v Viewer, changes iter.Seq[Change]) Frame {
	f := Frame{Index: s.index, Counters: s.counters}
	type place struct {
		table Table
		key   Key
	}
	done := make(map[place]bool)
	add := func(id Table, k Key) {
		if done[place{id, k}] {
			return
		}
		done[place{id, k}] = true
		f.Records = append(f.Records, s.recordFor(v, id, k))
	}
	for c := range changes {
		if c.Table == tableProfiles || !v.concerns(c) {
			continue // a profile comes and goes with its supply
		}
		add(c.Table, c.Key)
		if c.Table == tableSupplies && c.Computer == ComputerID(v.Peer) {
			add(tableProfiles, Key{A: c.Key.B})
		}
	}
	return f
}

// recordFor returns what v is shown of a row now.
func (s *State) recordFor(v Viewer, id Table, k Key) Record {
	shelf, _ := s.shelf(id)
	if row, ok := shelf.row(k); ok {
		if seen, ok := s.sees(v, row); ok {
			return Record{Table: id, Value: mustEncode(seen)}
		}
	}
	return Record{Table: id, Key: k}
}

// Merge applies a frame to a slice and says what changed. If it fails, the
// slice is worth nothing any more. Tables that this version does not know
// are skipped: voters may be newer than who asks.
func (s *State) Merge(f Frame) ([]Change, error) {
	if !s.partial {
		return nil, fmt.Errorf("merge: only a slice is merged into")
	}
	for n, r := range f.Records {
		shelf, err := s.shelf(r.Table)
		if err != nil {
			continue
		}
		if len(r.Value) == 0 {
			shelf.unload(r.Key)
			continue
		}
		store, err := shelf.parse(lenient.Unmarshal, r.Value)
		if err != nil {
			return nil, fmt.Errorf("merge: record %d of table %d: %w", n, r.Table, err)
		}
		store()
	}
	s.index, s.counters = f.Index, f.Counters
	s.forgetEvents()
	changes := s.changes
	s.changes = nil
	return changes, nil
}
