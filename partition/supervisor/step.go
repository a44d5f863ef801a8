package supervisor

import (
	"cmp"
	"fmt"
	"slices"
	"syscall"
	"time"
)

// A step is what the machine knows of one once-step.
type step struct {
	def     Step
	print   string
	leaving bool // no longer in the Spec, or changed while it ran

	run    runner
	killAt time.Time
	killed bool
	done   trial
}

// applySteps matches the steps of a new Spec with what was done. A step that
// runs and is the same is left to run; others that run are ended first.
func (m *machine) applySteps(s Spec) {
	old := m.steps
	m.steps = nil
	for _, def := range s.Steps {
		print := cmp.Or(def.Revision, fingerprint([]any{def.Name, def.Argv, def.Env, def.Stdin}))
		i := slices.IndexFunc(old, func(o *step) bool { return o.print == print && !o.leaving })
		if i >= 0 {
			old[i].def = def
			m.steps = append(m.steps, old[i])
			old = slices.Delete(old, i, i+1)
			continue
		}
		m.steps = append(m.steps, &step{def: def, print: print, done: trial{ok: m.memory.Steps[def.Name] == print}})
	}
	for _, p := range old {
		if p.run != nil {
			p.leaving = true
			m.steps = append(m.steps, p)
		}
	}
}

// runSteps runs the next step, of those before (or after) the services, that
// is not done. It says whether all are done.
func (m *machine) runSteps(now time.Time, after bool) bool {
	for _, p := range m.steps {
		if p.leaving {
			if !p.killed {
				p.killed = true
				p.run.signal(syscall.SIGKILL)
			}
			return false
		}
		if p.run != nil && m.due(now, p.killAt) && !p.killed {
			p.killed = true
			p.run.signal(syscall.SIGKILL)
		}
	}
	for _, p := range m.steps {
		if (p.def.After != "") != after || p.done.ok {
			continue
		}
		if p.run == nil && m.hasReady(p.def.After) && m.due(now, p.done.next) {
			m.startStep(now, p)
		}
		return false
	}
	return true
}

// hasReady says whether the named service is ready; no name is always ready.
func (m *machine) hasReady(name string) bool {
	return name == "" || slices.ContainsFunc(m.services, func(v *service) bool {
		return v.def.Name == name && v.ready && !v.leaving
	})
}

func (m *machine) startStep(now time.Time, p *step) {
	p.killed = false
	p.killAt = now.Add(cmp.Or(p.def.Timeout, DefaultStepTimeout))
	c := command{name: p.def.Name, argv: p.def.Argv, env: slices.Concat(m.spec.Env, p.def.Env), stdin: p.def.Stdin, durable: true}
	run, err := m.host.start(c, func(reason string) {
		m.send(func() { m.stepEnded(p, reason) })
	})
	if err != nil {
		m.stepFailed(now, p, err.Error())
		return
	}
	p.run = run
	m.wake(p.killAt)
}

func (m *machine) stepEnded(p *step, reason string) {
	now := m.clock()
	p.run = nil
	switch {
	case p.leaving:
		m.steps = slices.DeleteFunc(m.steps, func(o *step) bool { return o == p })
	case reason == "":
		p.done = trial{ok: true}
		m.memory.Steps[p.def.Name] = p.print
		m.recalled, m.stepped = trial{}, true
		m.recallAll(now) // at once: what was done must not be done again
	case p.killed && !m.stopping:
		m.stepFailed(now, p, fmt.Sprintf("took longer than %s", cmp.Or(p.def.Timeout, DefaultStepTimeout)))
	default:
		m.stepFailed(now, p, reason)
	}
}

func (m *machine) stepFailed(now time.Time, p *step, why string) {
	p.done.fail(now, why)
	m.wake(p.done.next)
	m.host.note(fmt.Sprintf("step %s: %s; again in %s", p.def.Name, why, p.done.next.Sub(now).Round(time.Millisecond)))
}
