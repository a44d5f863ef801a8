package supervisor

import "fmt"

// status describes the machine as it is now.
func (m *machine) status() Status {
	s := Status{Spec: m.hash}
	for _, v := range m.services {
		st := ServiceStatus{
			Name: v.def.Name, Ready: v.ready, Starts: v.starts, Reason: v.ended.why,
			Since: v.since, Stopping: v.stopping,
		}
		if v.run != nil {
			st.PID = v.run.pid()
		}
		s.Services = append(s.Services, st)
	}
	for _, p := range m.steps {
		s.Steps = append(s.Steps, StepStatus{Name: p.def.Name, Done: p.done.ok, Running: p.run != nil, Reason: p.done.why})
	}
	for _, p := range m.promises {
		s.Promises = append(s.Promises, PromiseStatus{Name: p.def.Name, Passed: p.holds, Message: p.message, At: p.at})
	}
	for _, j := range m.jobs {
		s.Jobs = append(s.Jobs, JobStatus{Name: j.def.Name, Running: j.run != nil, Last: j.last, Reason: j.why})
	}
	s.Phase, s.Reason = m.phase()
	s.Healthy = s.Phase == PhaseStarted && s.Reason == ""
	return s
}

// phase says how far the partition is, and what holds it up.
func (m *machine) phase() (Phase, string) {
	switch {
	case m.stopping && m.idle():
		return PhaseStopped, ""
	case m.stopping:
		return PhaseStopping, ""
	case m.spec == nil:
		return PhaseIdle, ""
	}
	phase, fault := m.trouble()
	switch {
	case phase == PhaseStarted:
		return phase, m.jobTrouble() // a job that failed does not undo that all else is good
	case phase == PhaseError:
		return phase, fault
	case m.started:
		return PhaseStarted, fault // it was good: now it is not healthy
	case !m.clock().Before(m.deadline()):
		return PhaseError, fmt.Sprintf("not started in time: %s", fault)
	default:
		return phase, fault
	}
}

// trouble finds the first thing that is not as it should be.
func (m *machine) trouble() (Phase, string) {
	if !m.written.ok {
		return m.written.phase(PhaseInstalling), m.written.why
	}
	for _, p := range m.steps {
		if !p.done.ok && p.def.After == "" {
			return p.done.phase(PhaseInstalling), explain("step", p.def.Name, p.done.why, "runs")
		}
	}
	for _, v := range m.services {
		switch {
		case v.run == nil || v.ended.failures >= failed:
			return v.ended.phase(PhaseStarting), explain("service", v.def.Name, v.ended.why, "does not run")
		case !v.ready:
			why := fmt.Sprintf("service %s is not ready", v.def.Name)
			if v.unready != "" {
				why += ": " + v.unready
			}
			return PhaseStarting, why
		}
	}
	for _, p := range m.steps {
		if !p.done.ok {
			return p.done.phase(PhaseInstalling), explain("step", p.def.Name, p.done.why, "runs")
		}
	}
	if !m.recalled.ok && m.recalled.why != "" {
		return m.recalled.phase(PhaseInstalling), m.recalled.why
	}
	for _, p := range m.promises {
		if !p.holds {
			phase := PhaseStarting
			if m.started { // before, only the deadline makes it an error
				phase = p.ended.phase(phase)
			}
			return phase, explain("promise", p.def.Name, p.message, "was not asked yet")
		}
	}
	for _, p := range m.promises {
		if p.passed != m.revision {
			return PhaseStarting, "promise " + p.def.Name + " is asked again"
		}
	}
	return PhaseStarted, ""
}

// phase is the given one until the trial has failed too often.
func (t trial) phase(before Phase) Phase {
	if t.failures >= failed {
		return PhaseError
	}
	return before
}

func explain(kind, name, why, otherwise string) string {
	if why == "" {
		return fmt.Sprintf("%s %s %s", kind, name, otherwise)
	}
	return fmt.Sprintf("%s %s: %s", kind, name, why)
}
