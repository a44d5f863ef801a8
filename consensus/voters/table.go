package voters

import (
	"cmp"
	"slices"
	"time"
)

// A place is a seat with what is known about its peer.
type place struct {
	Seat
	who  Candidate
	gone bool // may not vote, or has another seat by now
	live bool // answers
	lost bool // away for longer than the grace time
}

// A table is everything that the rules look at.
type table struct {
	places []place     // by peer, then seat
	free   []Candidate // could take a seat, the best first

	grow    int // how many should vote, of the peers that are here or just away
	most    int // how many may, of all that are eligible
	spare   int // how many standbys there should be, when nobody is lost
	all     int // voters
	keepers int // voters that are neither gone nor lost
}

func newTable(peers []Candidate, seats []Seat, at time.Time, policy Policy) *table {
	t := &table{}
	byPeer := make(map[string]Candidate, len(peers))
	for _, c := range peers {
		byPeer[c.Peer] = c
	}
	away := func(c Candidate) bool { return !c.Reachable && at.Sub(c.Since) >= policy.Grace }
	seated := make(map[string]bool, len(seats))
	for _, s := range seats {
		seated[s.Peer] = true
		c, known := byPeer[s.Peer]
		p := place{Seat: s, who: c}
		p.gone = !known || !c.Eligible || c.Seat != 0 && c.Seat != s.Seat
		p.live = s.Leader || !p.gone && c.Reachable
		p.lost = !p.gone && !p.live && away(c)
		t.places = append(t.places, p)
	}
	slices.SortFunc(t.places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.Peer, b.Peer), cmp.Compare(a.Seat.Seat, b.Seat.Seat))
	})

	eligible, usable := 0, 0
	for _, c := range byPeer {
		if !c.Eligible {
			continue
		}
		eligible++
		if !away(c) {
			usable++
		}
		if c.Reachable && !seated[c.Peer] && at.Sub(c.Since) >= policy.Settle {
			t.free = append(t.free, c)
		}
	}
	t.grow, t.most, t.spare = Size(usable), Size(eligible), spare(usable)
	t.all = t.count(func(p place) bool { return p.Voter })
	t.keepers = t.count(func(p place) bool { return p.Voter && !p.gone && !p.lost })
	slices.SortFunc(t.free, t.compare)
	return t
}

// compare orders candidates: from the site with the fewest voters, longest
// here, smallest name.
func (t *table) compare(a, b Candidate) int {
	return cmp.Or(
		cmp.Compare(t.votersAt(a.Site), t.votersAt(b.Site)),
		a.Since.Compare(b.Since),
		cmp.Compare(a.Peer, b.Peer),
	)
}

// votersAt counts the voters at a site who are to stay.
func (t *table) votersAt(site string) int {
	return t.count(func(p place) bool { return p.Voter && !p.lost && !p.gone && p.who.Site == site })
}

func (t *table) count(is func(place) bool) int {
	n := 0
	for _, p := range t.places {
		if is(p) {
			n++
		}
	}
	return n
}

// pick returns the place that less puts first, of those for which is holds.
func (t *table) pick(is func(place) bool, less func(a, b place) int) (place, bool) {
	var some []place
	for _, p := range t.places {
		if is(p) {
			some = append(some, p)
		}
	}
	if len(some) == 0 {
		return place{}, false
	}
	return slices.MinFunc(some, less), true
}

// best puts the candidate first who should vote, worst who should not.
func (t *table) best(a, b place) int { return t.compare(a.who, b.who) }

func (t *table) worst(a, b place) int {
	if a.live != b.live {
		if b.live {
			return -1
		}
		return 1
	}
	return t.best(b, a)
}

// answers reports whether a majority would answer if p voted, or no more.
func (t *table) answers(p place, votes bool) bool {
	voters, live := 0, 0
	for _, q := range t.places {
		v := q.Voter
		if q.Peer == p.Peer && q.Seat.Seat == p.Seat.Seat {
			v = votes
		}
		if v {
			voters++
			if q.live {
				live++
			}
		}
	}
	return live > voters/2
}

// wanting returns how many more should vote.
func (t *table) wanting() int {
	switch short := t.grow - t.keepers; {
	case short > 0:
		return short
	case t.all > t.keepers && t.keepers < t.most:
		return 1 // in place of one who is lost
	}
	return 0
}
