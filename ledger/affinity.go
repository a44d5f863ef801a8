package ledger

import (
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
	"github.com/slapmesh/slapmesh/ledger/placement"
)

// What two instances can share. Anything else that they are to be apart by is
// a label of their computers.
const (
	ByComputer = "computer"
	ByHost     = "host" // a machine, on which several peers may run
	BySite     = "site" // the label of that name; a computer without it is a site of its own
)

// An Affinity says which other instances of its parent, or of the account, an
// instance is to be near to, and which it is to be apart from, when it is
// placed. It binds this
// instance and not the others, and does not move what runs.
type Affinity struct {
	Near    []Reference `cbor:"1,keyasint,omitempty"` // each must be there
	NearBy  string      `cbor:"2,keyasint,omitempty"` // computer (default) or site
	Apart   []Reference `cbor:"3,keyasint,omitempty"` // those that are not there do not matter
	ApartBy string      `cbor:"4,keyasint,omitempty"` // computer (default), host, site, or a label
}

// IsZero reports whether a asks nothing.
func (a Affinity) IsZero() bool {
	return len(a.Near) == 0 && len(a.Apart) == 0 && a.NearBy == "" && a.ApartBy == ""
}

func (a Affinity) equal(b Affinity) bool {
	return slices.Equal(a.Near, b.Near) && a.NearBy == b.NearBy && slices.Equal(a.Apart, b.Apart) && a.ApartBy == b.ApartBy
}

// or returns a with what it does not name taken from b.
func (a Affinity) or(b Affinity) Affinity {
	if len(a.Near) == 0 {
		a.Near, a.NearBy = b.Near, b.NearBy
	}
	if len(a.Apart) == 0 {
		a.Apart, a.ApartBy = b.Apart, b.ApartBy
	}
	return a
}

func (a Affinity) check(self Reference) error {
	for _, list := range []struct {
		what, by string
		refs     []Reference
	}{{"near", a.NearBy, a.Near}, {"apart", a.ApartBy, a.Apart}} {
		what := "request " + string(self) + ": " + list.what
		switch {
		case len(list.refs) > MaxNear:
			return refuse(ErrInvalid, "%s: %d instances, at most %d", what, len(list.refs), MaxNear)
		case list.by != "" && len(list.refs) == 0:
			return refuse(ErrInvalid, "%s by %.40q: name the instances", what, list.by)
		case list.what == "near" && list.by != "" && list.by != ByComputer && list.by != BySite:
			return refuse(ErrInvalid, "%s by %.40q: computer or site expected", what, list.by)
		}
		if list.by != "" {
			if err := checkWord(what+" by", list.by, MaxLabel); err != nil {
				return err
			}
		}
		for n, ref := range list.refs {
			if err := checkName(what, string(ref), MaxReference); err != nil {
				return err
			}
			if ref == self || slices.Contains(list.refs[:n], ref) {
				return refuse(ErrInvalid, "%s %s: itself, or twice", what, ref)
			}
		}
	}
	return nil
}

// want says what an instance that is to be placed asks of a computer.
func (s *State) want(i Instance, avoid []ComputerID, release Release, at time.Time) (placement.Want, error) {
	mesh, _ := s.Mesh()
	w := placement.Want{
		Reference: string(i.Reference),
		Account:   string(i.Account),
		Release:   string(i.Release),
		Strangers: mesh.Open,
		Kin:       s.kin(i.Account),
		Filter:    i.Filter,
		Policy:    i.Policy,
		Needs:     i.Needs.resources(),
		MaxPrice:  int64(i.MaxPrice),
		Besides:   int64(s.royalty(i, release, at)),
		Beside:    s.beside(i.Account, i.Policy),
		Avoid:     make([]string, len(avoid)),
	}
	for n, id := range avoid {
		w.Avoid[n] = string(id)
	}
	var err error
	if w.Expr, err = where(i.Where); err != nil {
		return w, err
	}
	return w, s.attach(i, &w)
}

// attach resolves what an instance is to be near to and apart from.
func (s *State) attach(i Instance, w *placement.Want) error {
	for n, ref := range i.Affinity.Near {
		computer, ok := s.computerOf(i, ref)
		if !ok {
			return refuse(ErrNotFound, "request %s: near %s: %s has no such instance", i.Reference, ref, i.Account)
		}
		if i.Affinity.NearBy == BySite {
			w.OnlySites = both(n, w.OnlySites, site(computer))
		} else {
			w.OnlyComputers = both(n, w.OnlyComputers, string(computer.ID))
		}
	}
	for _, ref := range i.Affinity.Apart {
		computer, ok := s.computerOf(i, ref)
		if !ok {
			continue
		}
		w.NotComputers = append(w.NotComputers, string(computer.ID))
		switch by := i.Affinity.ApartBy; by {
		case "", ByComputer:
		case ByHost:
			if computer.Host != "" {
				w.NotHosts = append(w.NotHosts, computer.Host)
			}
		case BySite:
			w.NotSites = append(w.NotSites, site(computer))
		default:
			if v, ok := computer.Labels[by]; ok {
				w.NotLabels = append(w.NotLabels, placement.Label{Key: by, Value: v})
			}
		}
	}
	return nil
}

// both returns a list of what is near to the first n and to one more.
func both(n int, near []string, one string) []string {
	if n == 0 {
		return []string{one}
	}
	if slices.Contains(near, one) {
		return near
	}
	return []string{} // nothing is near to both
}

func site(c Computer) string {
	return (&placement.Candidate{ID: string(c.ID), Host: c.Host, Labels: c.Labels}).Site()
}

// computerOf returns where what i calls ref is: an instance that i's parent
// requested as well, or one of the account.
func (s *State) computerOf(i Instance, ref Reference) (Computer, bool) {
	other, ok := s.named(i.Account, ref, i.Parent)
	if !ok || other.Settled() {
		if other, ok = s.InstanceByReference(i.Account, ref); !ok || other.Settled() {
			return Computer{}, false
		}
	}
	return s.Computer(other.Computer)
}

// reattach notes what an instance is to be near to and apart from, and the
// highest price, if it is so where it is.
func (c Request) reattach(s *State, x Context, was Instance, now *Instance, release Release) error {
	now.Affinity, now.MaxPrice = c.Affinity, c.MaxPrice
	if !c.ReplaceNeeds {
		now.Affinity = c.Affinity.or(was.Affinity)
		if c.MaxPrice == 0 {
			now.MaxPrice = was.MaxPrice
		}
	}
	computer, _ := s.Computer(was.Computer)
	if !now.Affinity.equal(was.Affinity) {
		var w placement.Want
		if err := s.attach(*now, &w); err != nil {
			return err
		}
		if ok, why := s.places.Meets(string(was.Computer), w); !ok {
			return refuse(ErrConflict, "request %s: it is on %s, which is %s: destroy it and request it again", c.Reference, computer.title(), why.Text)
		}
	}
	price := s.hour(*now, computer.Account, release, x.At)
	if now.MaxPrice != was.MaxPrice && now.MaxPrice != 0 && price > now.MaxPrice {
		return refuse(ErrConflict, "request %s: an hour on %s costs %s, more than %s: destroy it and request it again", c.Reference, computer.title(), price, now.MaxPrice)
	}
	return nil
}

// holding is what an owner asks for an hour of a partition and of what an
// instance needs.
func (s *State) holding(owner AccountName, n Needs, at time.Time) book.Amount {
	return priceOf(s.Rates(owner, "", at), n)
}

// royalty is what the publisher of its release asks for the same.
func (s *State) royalty(i Instance, release Release, at time.Time) book.Amount {
	return min(priceOf(s.Rates(release.Publisher, i.ReleaseName, at), i.Needs), maxBalance)
}

func priceOf(r book.Rates, n Needs) book.Amount {
	return min(book.Amount(ranked(r).Price(n.resources())), maxBalance)
}

// ranked returns the rates that say what holding something costs.
func ranked(r book.Rates) placement.Rates {
	return placement.Rates{Partition: int64(r.Partition), Core: int64(r.Core), Memory: int64(r.Memory), Disk: int64(r.Disk)}
}
