package ledger

import (
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
)

// Who has an instance that others share asks for the places inside it, by
// the name of its release. A place is held as a partition is: from the
// request to the end. Its time is billed with the usage of its host, since
// nobody can measure it apart; what else a host can tell apart (requests, what
// the profile counts) its computer reports.

// PlaceRates returns what an account asks at a moment for a place inside its
// instances of a release.
func (s *State) PlaceRates(account AccountName, release string, at time.Time) book.Rates {
	if account == "" {
		return book.Rates{}
	}
	p, _ := s.prices.get(priceKey(account, release, true))
	return p.List.At(at)
}

// hostOf returns who earns from the place of a shared instance: nobody before
// the rules that know it.
func (s *State) hostOf(i Instance) AccountName {
	host, ok := s.Instance(i.Host)
	if !ok || !s.follows(RulesOfGroups) {
		return ""
	}
	return host.Account
}

// hour is what an hour of an instance costs where it is, or of a shared one
// inside its host.
func (s *State) hour(i Instance, owner AccountName, release Release, at time.Time) book.Amount {
	if i.Shared {
		return priceOf(s.PlaceRates(s.hostOf(i), i.ReleaseName, at), Needs{})
	}
	return s.holding(owner, i.Needs, at) + s.royalty(i, release, at)
}

// billPlaces bills the places inside an instance for the period of a report in
// which it is.
func (t *till) billPlaces(r UsageReport, host InstanceID) (lines []Event) {
	i, ok := t.state.Instance(host)
	if !ok || i.Shared || t.state.PlaceRates(i.Account, i.ReleaseName, r.From).Partition == 0 {
		return nil
	}
	for _, link := range []string{linkShared, linkGone} {
		for shared := range t.state.linked(link, idKey(host)) {
			c, ok := t.charge(shared.ID)
			if !ok || c.Host == "" || !c.owes(r.From, r.To) {
				continue
			}
			// A place whose price is out of range is not billed: the usage of
			// others does not wait for it.
			b, err := t.billEntry(r, UsageEntry{Instance: shared.ID})
			if err == nil {
				err = t.take(b.Transfer)
			}
			if err != nil {
				t.charges[shared.ID] = c
				continue
			}
			lines = append(lines, b)
		}
	}
	return lines
}

// owes reports whether a part of a period is not billed yet.
func (c Charge) owes(from, to time.Time) bool {
	if from.Before(c.Billed) {
		from = c.Billed
	}
	if !c.Open() && c.Until.Before(to) {
		to = c.Until
	}
	return from.Before(to)
}
