package ledger

import (
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
)

// A Quote says what would become of a request, and what it would cost.
type Quote struct {
	Reference Reference   `cbor:"1,keyasint"`
	Exists    bool        `cbor:"2,keyasint,omitempty"` // the instance is there, and stays where it is
	Computer  ComputerID  `cbor:"3,keyasint"`
	Name      string      `cbor:"4,keyasint,omitempty"` // of the computer
	Owner     AccountName `cbor:"5,keyasint"`
	Publisher AccountName `cbor:"6,keyasint"`
	Release   string      `cbor:"7,keyasint"` // name
	Needs     Needs       `cbor:"8,keyasint,omitzero"`

	OwnerRates   book.Rates  `cbor:"9,keyasint"`
	ReleaseRates book.Rates  `cbor:"10,keyasint"`
	Hour         book.Amount `cbor:"11,keyasint,omitempty"` // of holding the partition and using all that is needed
	Due          book.Amount `cbor:"12,keyasint,omitempty"` // at once
	SetAside     book.Amount `cbor:"13,keyasint,omitempty"`

	Others []Alternative `cbor:"14,keyasint,omitempty"` // where it would be if not there, the best first
	At     time.Time     `cbor:"15,keyasint"`

	Host      AccountName `cbor:"100,keyasint,omitempty"` // whose instance a shared one would be inside
	HostRates book.Rates  `cbor:"101,keyasint,omitzero"`  // for the place
}

// An Alternative is a computer that would do as well.
type Alternative struct {
	Computer ComputerID  `cbor:"1,keyasint"`
	Name     string      `cbor:"2,keyasint,omitempty"`
	Hour     book.Amount `cbor:"3,keyasint,omitempty"`
}

// Quote says what would become of c if it was decided at a moment, or refuses
// it as that would. If publish is not nil it is decided first. It is the same
// decision, on s: give it a copy.
func (s *State) Quote(p Principal, at time.Time, publish *Publish, c Request) (Quote, error) {
	s.chronicled, s.facts = false, nil
	x := Context{s.Advance(s.index, at), p}
	if publish != nil {
		events, err := s.Decide(*publish, x)
		if err != nil {
			return Quote{}, err
		}
		s.Evolve(events...)
	}
	events, err := s.Decide(c, x)
	if err != nil {
		return Quote{}, err
	}
	for _, e := range events {
		switch e := e.(type) {
		case Allocated:
			return s.quote(e.Instance, e.Charge, c.Avoid, x)
		case Changed:
			return s.quoted(e.Instance, x), nil
		}
	}
	who, err := s.Recognise(p, x.At)
	if err != nil {
		return Quote{}, err
	}
	c.Account, err = c.requester(s, Context{x.At, who})
	if err != nil {
		return Quote{}, err
	}
	if i, ok := s.named(c.Account, c.Reference, c.Parent); ok && !i.Settled() {
		return s.quoted(i, x), nil
	}
	return Quote{}, refuse(ErrInvalid, "quote %s: nothing would be placed", c.Reference)
}

// quote says what an instance that would be allocated costs.
func (s *State) quote(i Instance, bill Charge, avoid []ComputerID, x Context) (Quote, error) {
	q := s.quoted(i, x)
	q.Exists, q.Due, q.SetAside = false, bill.Total(), bill.Reserved
	if i.Shared {
		return q, nil // it is inside its host, wherever that is
	}
	release, _ := s.Release(i.Release)
	want, err := s.want(i, avoid, release, x.At)
	if err != nil {
		return q, err
	}
	offers, err := s.places.Quote(want)
	if err != nil {
		return q, refuse(ErrExhausted, "%v", err)
	}
	for _, o := range offers.RunnersUp {
		hour := min(book.Amount(o.Price), maxBalance) + book.Amount(want.Besides)
		q.Others = append(q.Others, Alternative{ComputerID(o.Computer), o.Name, hour})
	}
	return q, nil
}

// quoted says what an instance costs where it is.
func (s *State) quoted(i Instance, x Context) Quote {
	computer, _ := s.Computer(i.Computer)
	release, _ := s.Release(i.Release)
	q := Quote{
		Reference: Reference(s.Path(i)), Exists: true, Computer: computer.ID, Name: computer.Name, Owner: computer.Account,
		Publisher: release.Publisher, Release: i.ReleaseName, Needs: i.Needs,
		OwnerRates: s.Rates(computer.Account, "", x.At), ReleaseRates: s.Rates(release.Publisher, i.ReleaseName, x.At),
		Hour: s.hour(i, computer.Account, release, x.At), At: x.At,
	}
	if i.Shared {
		q.Host = s.hostOf(i)
		q.HostRates = s.PlaceRates(q.Host, i.ReleaseName, x.At)
	}
	return q
}
