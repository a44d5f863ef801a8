package voters

import "fmt"

func step(action Action, p place, why string, args ...any) (Step, bool) {
	return Step{Action: action, Peer: p.Peer, Seat: p.Seat.Seat, Why: fmt.Sprintf(why, args...)}, true
}

// clear takes the seats of those who may not have them. A leader that may not
// vote leaves the lead first.
func (t *table) clear() (Step, bool) {
	for _, p := range t.places {
		switch {
		case !p.gone:
		case p.Leader:
			if t.count(func(q place) bool { return q.Voter && q.live && !q.Leader && !q.gone }) > 0 {
				return step(Transfer, p, "it may not vote any more")
			}
		case !p.Voter || t.answers(p, false):
			return step(Remove, p, "the seat is not its own any more")
		}
	}
	return Step{}, false
}

// promote gives votes to standbys. It waits until there are enough of them for
// an odd number of voters, unless one is to stand in for somebody lost.
func (t *table) promote() (Step, bool) {
	ready := func(p place) bool { return !p.Voter && !p.gone && p.live && p.Current }
	wanting := t.wanting()
	if wanting == 0 || t.count(ready) < wanting && t.all == t.keepers {
		return Step{}, false
	}
	p, ok := t.pick(ready, t.best)
	if !ok || !t.answers(p, true) {
		return Step{}, false
	}
	return step(Promote, p, "%d of %d voters", t.keepers, max(t.grow, t.keepers+1))
}

// release takes the seat of a lost voter whose place has been taken.
func (t *table) release() (Step, bool) {
	if t.keepers < t.grow || t.all <= t.most && t.all%2 == 1 {
		return Step{}, false
	}
	p, ok := t.pick(func(p place) bool { return p.Voter && p.lost && t.answers(p, false) }, t.worst)
	if !ok {
		return Step{}, false
	}
	return step(Remove, p, "away for too long, %d others vote", t.all-1)
}

// shrink takes a vote when more vote than there should be, or an even number.
func (t *table) shrink() (Step, bool) {
	if t.all > t.keepers || t.all <= t.most && (t.all%2 == 1 || t.all <= t.grow) {
		return Step{}, false
	}
	p, ok := t.pick(func(p place) bool { return p.Voter && !p.Leader && t.answers(p, false) }, t.worst)
	if !ok {
		return Step{}, false
	}
	return step(Demote, p, "%d voters are too many", t.all)
}

// seat lets candidates sit down as standbys: those who will be needed as
// voters, and one to spare.
func (t *table) seat() (Step, bool) {
	standby := t.count(func(p place) bool { return !p.Voter && !p.gone && p.live })
	if standby >= max(t.wanting(), t.spare) || len(t.free) == 0 {
		return Step{}, false
	}
	return Step{Action: AddStandby, Peer: t.free[0].Peer, Why: fmt.Sprintf("%d standbys, %d voters", standby, t.keepers)}, true
}

// unseat takes the seats of standbys who are lost or too many.
func (t *table) unseat() (Step, bool) {
	lost := func(p place) bool { return !p.Voter && p.lost }
	if p, ok := t.pick(lost, t.worst); ok {
		return step(Remove, p, "a standby away for too long")
	}
	standby := func(p place) bool { return !p.Voter && !p.gone }
	if t.count(standby) <= max(t.wanting(), t.spare) {
		return Step{}, false
	}
	p, _ := t.pick(standby, t.worst)
	return step(Remove, p, "one standby too many")
}
