package ledger

import (
	"fmt"
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
)

// MaxFormer is how many owners a computer may have had while one instance was
// there.
const MaxFormer = 16

// A Tenure is what somebody who gave the computer away has earned from a bill.
type Tenure struct {
	Owner   AccountName `cbor:"1,keyasint"`
	Until   time.Time   `cbor:"2,keyasint"`
	ToOwner book.Amount `cbor:"3,keyasint,omitempty"` // the mesh's fee included
	ToMesh  book.Amount `cbor:"4,keyasint,omitempty"` // the fee
	Rest    book.Rest   `cbor:"5,keyasint,omitempty"`
}

// A part is what one owner of a computer earns from a bill.
type part struct {
	Tenure
	former int // which of Charge.Former it is, or -1
}

// ownerAt returns the part of a bill that belongs to whoever owned the
// computer at a moment.
func (c Charge) ownerAt(at time.Time) part {
	for n, f := range c.Former {
		if at.Before(f.Until) {
			return part{f, n}
		}
	}
	return part{c.Current(), -1}
}

// Current returns what the owner of now has earned from a bill.
func (c Charge) Current() Tenure {
	t := Tenure{Owner: c.Owner, ToOwner: c.ToOwner, ToMesh: c.ToMesh, Rest: c.OwnerRest}
	for _, f := range c.Former {
		t.ToOwner -= f.ToOwner
		t.ToMesh -= f.ToMesh
	}
	return t
}

// earn adds what an owner earns to a bill, of which fee goes to the mesh.
func (c *Charge) earn(p part, sum, fee book.Amount, rest book.Rest) {
	c.ToOwner += sum
	c.ToMesh += fee
	if p.former < 0 {
		c.OwnerRest = rest
		return
	}
	c.Former = slices.Clone(c.Former)
	f := &c.Former[p.former]
	f.ToOwner, f.ToMesh, f.Rest = f.ToOwner+sum, f.ToMesh+fee, rest
}

// handOver makes somebody else earn from a bill from a moment on. What was
// used before is still the former owner's, whenever it is reported.
func (c Charge) handOver(to AccountName, at time.Time) Charge {
	t := c.Current()
	t.Until = at
	c.Former = append(slices.Clip(c.Former), t)
	c.Owner, c.OwnerRest = to, 0
	return c
}

// GiveComputer makes a computer another account's. Its instances stay, and
// are billed for the new owner from now on. The owner and operators may.
type GiveComputer struct {
	Computer ComputerID  `cbor:"1,keyasint"`
	Account  AccountName `cbor:"2,keyasint"`
}

// Kind returns "give-computer".
func (GiveComputer) Kind() string { return "give-computer" }

func (c GiveComputer) decide(s *State, x Context) ([]Event, error) {
	now, err := s.steward(x.Principal, c.Computer, "give computer")
	if err != nil {
		return nil, err
	}
	if err := checkWord("account", string(c.Account), MaxName); err != nil {
		return nil, err
	}
	if a, ok := s.Account(c.Account); !ok || !a.Deleted.IsZero() {
		return nil, refuse(ErrNotFound, "give computer %s: account %s is not known", now.title(), c.Account)
	}
	if now.Account == c.Account {
		return nil, nil
	}
	if err := s.withinQuota(c.Account, "give computer "+now.title(), QuotaComputers, s.Tally(c.Account).Computers, 1); err != nil {
		return nil, err
	}
	for i := range s.placedOn(now.ID) {
		if bill, _ := s.Charge(i.ID); len(bill.Former) >= MaxFormer {
			return nil, refuse(ErrExhausted, "give computer %s: it had %d owners already while %s of %s was there: destroy that first", now.title(), MaxFormer+1, s.Path(i), i.Account)
		}
	}
	from := now.Account
	peer, _ := s.Peer(PeerID(now.ID))
	now.Account, now.Given = c.Account, peer.Account != c.Account
	return []Event{ComputerGiven{now, from, x.At}}, nil
}

// ComputerGiven says that a computer is another account's.
type ComputerGiven struct {
	Computer Computer
	From     AccountName
	At       time.Time
}

func (e ComputerGiven) String() string {
	return fmt.Sprintf("gave computer %s of %s to %s", e.Computer.title(), e.From, e.Computer.Account)
}

func (e ComputerGiven) kind() string { return "computer-given" }

func (e ComputerGiven) about() subject {
	return subject{account: e.Computer.Account, computer: e.Computer.ID}
}

func (e ComputerGiven) evolve(s *State) {
	s.setComputer(e.Computer)
	s.handOver(e.Computer, e.At)
}

// handOver makes the owner of a computer earn from the bills that are open for
// what is there.
func (s *State) handOver(c Computer, at time.Time) {
	for _, i := range collect(s.placedOn(c.ID)) {
		if bill, ok := s.Charge(i.ID); ok && bill.Open() && bill.Owner != c.Account && len(bill.Former) < MaxFormer {
			s.setCharge(bill.handOver(c.Account, at))
		}
	}
}
