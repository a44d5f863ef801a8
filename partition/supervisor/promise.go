package supervisor

import (
	"cmp"
	"slices"
	"time"
)

// A promise is what the machine knows of one promise.
type promise struct {
	def Promise

	asking  bool
	asked   int // the machine's revision when it was asked last
	passed  int // the revision that it last passed at
	holds   bool
	message string
	at      time.Time // of the last answer; zero before the first
	ended   trial
}

// applyPromises matches the promises of a new Spec with those that are. All
// are asked again, for a change may have broken any.
func (m *machine) applyPromises(s Spec) {
	old := m.promises
	m.promises = nil
	for _, def := range s.Promises {
		p := &promise{}
		if i := slices.IndexFunc(old, func(o *promise) bool { return fingerprint(o.def) == fingerprint(def) }); i >= 0 {
			p = old[i]
		}
		p.def = def
		p.ended = trial{}
		m.promises = append(m.promises, p)
	}
}

// askPromises asks those that are due: at once after a change, then every
// period, and more often while one does not hold.
func (m *machine) askPromises(now time.Time) {
	for _, p := range m.promises {
		if p.asking || p.asked == m.revision && !m.due(now, p.ended.next) {
			continue
		}
		p.asking = true
		p.asked = m.revision
		timeout := cmp.Or(p.def.Timeout, DefaultPromiseTimeout)
		env := slices.Concat(m.spec.Env, p.def.Env)
		m.host.check([]Check{p.def.Check}, env, timeout, func(err error) {
			m.send(func() { m.answered(p, err) })
		})
	}
}

func (m *machine) answered(p *promise, err error) {
	now := m.clock()
	p.asking = false
	p.at = now
	every := cmp.Or(p.def.Every, DefaultPromiseEvery)
	if err == nil {
		p.holds, p.message = true, ""
		p.passed = p.asked
		p.ended = trial{ok: true, next: now.Add(every)}
		return
	}
	if p.holds || p.message != err.Error() {
		m.host.note("promise " + p.def.Name + ": " + err.Error())
	}
	p.holds, p.message = false, err.Error()
	p.ended.fail(now, err.Error())
	if m.started { // it was good: a moment's trouble is no error yet
		p.ended.next = now.Add(10 * p.ended.next.Sub(now))
	}
	if latest := now.Add(every); p.ended.next.After(latest) {
		p.ended.next = latest
	}
}
