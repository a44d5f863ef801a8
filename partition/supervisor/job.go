package supervisor

import (
	"cmp"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/robfig/cron/v3"
)

// DefaultJobTimeout is how long a [Job] may take.
const DefaultJobTimeout = time.Hour

// A Job is a command that is run at certain times while the partition is
// started. What was due while it was not, or while the run before goes on, is
// left out.
type Job struct {
	Name     string        `cbor:"1,keyasint"`
	Argv     []string      `cbor:"2,keyasint"`
	Env      []string      `cbor:"3,keyasint,omitempty"`
	Schedule string        `cbor:"4,keyasint"`           // five fields of cron, or @hourly and the like, in UTC
	Timeout  time.Duration `cbor:"5,keyasint,omitempty"` // default [DefaultJobTimeout]
}

// A JobStatus is what one job is now.
type JobStatus struct {
	Name    string    `cbor:"1,keyasint"`
	Running bool      `cbor:"2,keyasint,omitempty"`
	Last    time.Time `cbor:"3,keyasint,omitzero"`  // when it was started last
	Reason  string    `cbor:"4,keyasint,omitempty"` // how it failed then
}

// validate says what is wrong with a job beside what all have in common.
func (j Job) validate() error {
	if _, err := cron.ParseStandard(j.Schedule); err != nil {
		return fmt.Errorf("spec: job %s: schedule %.100q: %w", j.Name, j.Schedule, err)
	}
	return nil
}

// A job is what the machine knows of one Job.
type job struct {
	def     Job
	next    time.Time // when it is due
	run     runner    // nil when it does not run
	killAt  time.Time
	killed  bool
	leaving bool // no longer in the Spec
	last    time.Time
	why     string // how it failed last
}

// applyJobs matches the jobs of a new Spec with those that are.
func (m *machine) applyJobs(s Spec) {
	old := m.jobs
	m.jobs = nil
	for _, def := range s.Jobs {
		j := &job{}
		if n := slices.IndexFunc(old, func(o *job) bool { return fingerprint(o.def) == fingerprint(def) && !o.leaving }); n >= 0 {
			j = old[n]
			old = slices.Delete(old, n, n+1)
		}
		j.def = def
		m.jobs = append(m.jobs, j)
	}
	for _, j := range old {
		if j.run != nil {
			j.leaving = true
			m.jobs = append(m.jobs, j)
		}
	}
}

// runJobs starts what is due, once all has been good, and ends what takes too
// long or is not wanted any more.
func (m *machine) runJobs(now time.Time) {
	for _, j := range m.jobs {
		if j.run != nil && !j.killed && (j.leaving || m.due(now, j.killAt)) {
			j.killed = true
			j.run.signal(syscall.SIGKILL)
		}
		if j.leaving || !m.started {
			continue
		}
		if j.next.IsZero() {
			j.next = j.after(now)
		}
		if j.next.IsZero() || !m.due(now, j.next) {
			continue
		}
		j.next = j.after(now)
		m.due(now, j.next)
		if j.run == nil {
			m.startJob(now, j)
		}
	}
}

// after returns when a job is due next; zero is never.
func (j *job) after(now time.Time) time.Time {
	s, err := cron.ParseStandard(j.def.Schedule)
	if err != nil {
		return time.Time{} // it was validated
	}
	return s.Next(now.UTC())
}

func (m *machine) startJob(now time.Time, j *job) {
	j.killed, j.last = false, now
	timeout := cmp.Or(j.def.Timeout, DefaultJobTimeout)
	j.killAt = now.Add(timeout)
	c := command{name: j.def.Name, argv: j.def.Argv, env: slices.Concat(m.spec.Env, j.def.Env)}
	run, err := m.host.start(c, func(reason string) {
		m.send(func() {
			j.run = nil
			if j.killed && !m.stopping && !j.leaving {
				reason = fmt.Sprintf("took longer than %s", timeout)
			}
			m.jobEnded(j, reason)
		})
	})
	if err != nil {
		m.jobEnded(j, err.Error())
		return
	}
	j.run = run
	m.wake(j.killAt)
}

func (m *machine) jobEnded(j *job, reason string) {
	j.why = reason
	if reason != "" {
		m.host.note(fmt.Sprintf("cron %s: %s", j.def.Name, reason))
	}
	m.jobs = slices.DeleteFunc(m.jobs, func(o *job) bool { return o.leaving && o.run == nil })
}

// jobTrouble finds the first job that failed when it was run last.
func (m *machine) jobTrouble() string {
	for _, j := range m.jobs {
		if j.why != "" && !j.leaving {
			return explain("cron", j.def.Name, j.why, "")
		}
	}
	return ""
}
