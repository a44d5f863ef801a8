package supervisor

import (
	"cmp"
	"fmt"
	"slices"
	"syscall"
	"time"
)

// stableAfter is how long a service must run before its earlier failures are
// forgotten.
const stableAfter = 10 * time.Second

// readyTimeout bounds one check of readiness.
const readyTimeout = 5 * time.Second

// A service is what the machine knows of one service.
type service struct {
	def     Service
	print   string // what it should run as
	leaving bool   // no longer in the Spec

	run     runner // nil when it does not run
	running string // the fingerprint that it was started with
	life    int    // raised at each start, to tell late answers apart
	since   time.Time
	starts  int
	ended   trial // how it ended last, if that was not wished

	ready     bool
	checking  bool
	checkAt   time.Time
	checkWait time.Duration
	unready   string // why it is not ready
	late      bool   // took too long to be ready, and was killed

	stopping bool
	killAt   time.Time
}

// applyServices matches the services of a new Spec with those that are.
func (m *machine) applyServices(s Spec) {
	old := m.services
	m.services = nil
	for _, def := range s.Services {
		print := fingerprint([]any{cmp.Or(def.Revision, fingerprint(def)), s.Env})
		v := &service{}
		if i := slices.IndexFunc(old, func(o *service) bool { return o.def.Name == def.Name }); i >= 0 {
			v = old[i]
			old = slices.Delete(old, i, i+1)
		}
		if v.print != print {
			v.ended = trial{} // a changed service gets a fresh try at once
		}
		v.def, v.print, v.leaving = def, print, false
		m.services = append(m.services, v)
	}
	for _, v := range old {
		if v.run != nil {
			v.leaving = true
			m.services = append(m.services, v)
		}
	}
}

// stopChanged ends what runs but should not, or not so.
func (m *machine) stopChanged(now time.Time) {
	for _, v := range m.services {
		if v.leaving || v.run != nil && v.running != v.print {
			m.stopService(now, v)
		}
	}
	m.services = slices.DeleteFunc(m.services, func(v *service) bool { return v.leaving && v.run == nil })
}

// stopService asks v to end, and ends it when it does not.
func (m *machine) stopService(now time.Time, v *service) {
	if v.run == nil {
		return
	}
	if !v.stopping {
		grace := cmp.Or(v.def.StopGrace, DefaultStopGrace)
		if m.stopping && m.grace != 0 {
			grace = min(grace, m.grace)
		}
		v.stopping, v.ready = true, false
		v.killAt = now.Add(grace)
		v.run.signal(syscall.Signal(cmp.Or(v.def.StopSignal, int(syscall.SIGTERM))))
	}
	if v.killAt.IsZero() {
		return
	}
	if m.due(now, v.killAt) {
		m.host.note(fmt.Sprintf("service %s does not stop: killed", v.def.Name))
		v.run.signal(syscall.SIGKILL)
		v.killAt = time.Time{}
	}
}

// startServices starts what does not run, and asks whether it is ready.
func (m *machine) startServices(now time.Time) {
	for _, v := range m.services {
		if v.leaving || v.stopping {
			continue
		}
		if v.run == nil && m.afterReady(v) && m.due(now, v.ended.next) {
			m.startService(now, v)
		}
		if v.run == nil {
			continue
		}
		if !v.ready && !v.late && m.due(now, v.since.Add(cmp.Or(v.def.ReadyTimeout, DefaultReadyTimeout))) {
			v.late = true
			v.run.signal(syscall.SIGKILL)
		}
		if v.ended.failures > 0 && m.due(now, v.since.Add(stableAfter)) {
			v.ended = trial{}
		}
		if !v.ready && !v.checking && m.due(now, v.checkAt) {
			m.askReady(v)
		}
	}
}

func (m *machine) startService(now time.Time, v *service) {
	v.life++
	life := v.life
	v.starts++
	v.since = now
	v.running = v.print
	v.ready, v.late, v.checking, v.checkAt, v.checkWait, v.unready = false, false, false, now, 0, ""
	c := command{name: v.def.Name, argv: v.def.Argv, env: slices.Concat(m.spec.Env, v.def.Env)}
	run, err := m.host.start(c, func(reason string) {
		m.send(func() {
			if v.life == life {
				m.serviceEnded(v, reason)
			}
		})
	})
	if err != nil {
		v.ended.fail(now, err.Error())
		m.wake(v.ended.next)
		m.host.note(fmt.Sprintf("service %s: %v", v.def.Name, err))
		return
	}
	v.run = run
	if len(v.def.Ready) == 0 {
		v.ready = true
		m.revision++
	}
}

// serviceEnded takes note that a service's process is no more.
func (m *machine) serviceEnded(v *service, reason string) {
	now := m.clock()
	wished := v.stopping
	v.run, v.ready, v.stopping, v.killAt = nil, false, false, time.Time{}
	m.revision++
	if wished {
		v.ended = trial{}
		return
	}
	if now.Sub(v.since) >= stableAfter {
		v.ended.failures = 0
	}
	if v.late {
		reason = "not ready in time"
		if v.unready != "" {
			reason += ": " + v.unready
		}
	}
	v.ended.fail(now, cmp.Or(reason, "ended by itself"))
	m.host.note(fmt.Sprintf("service %s: %s; again in %s",
		v.def.Name, v.ended.why, v.ended.next.Sub(now).Round(time.Millisecond)))
}

// askReady checks once whether v is ready; sooner at first, then less often.
func (m *machine) askReady(v *service) {
	v.checking = true
	life := v.life
	m.host.check(v.def.Ready, slices.Concat(m.spec.Env, v.def.ReadyEnv), readyTimeout, func(err error) {
		m.send(func() {
			if v.life != life || v.run == nil {
				return
			}
			v.checking = false
			if err == nil {
				v.ready, v.unready = true, ""
				m.revision++
				return
			}
			v.unready = err.Error()
			v.checkWait = min(max(2*v.checkWait, time.Millisecond), 200*time.Millisecond)
			v.checkAt = m.clock().Add(v.checkWait)
		})
	})
}

// afterReady says whether all that v must come after is ready.
func (m *machine) afterReady(v *service) bool {
	return !slices.ContainsFunc(v.def.After, func(name string) bool { return !m.hasReady(name) })
}

// ready says whether every service can be used.
func (m *machine) ready() bool {
	return !slices.ContainsFunc(m.services, func(v *service) bool { return !v.ready || v.leaving })
}
