package supervisor

import (
	"math/rand/v2"
	"slices"
	"syscall"
	"time"
)

// A host does what the machine decides. Its methods are called from the
// machine's goroutine and must not block for long; callbacks may come from
// any goroutine.
type host interface {
	// write makes directories and files be, removes those gone, and leaves
	// alone what is right already. It returns the first failure.
	write(dirs []Dir, files []File, gone []string) error

	// remember keeps m. If it is synced, a power cut does not undo it.
	remember(m memory, sync bool) error

	// start runs a command. When it has ended, exited is called once, with
	// an empty reason if it ended well.
	start(c command, exited func(reason string)) (runner, error)

	// check asks all checks and calls done once, within about the timeout.
	check(checks []Check, env []string, timeout time.Duration, done func(error))

	// note writes one line into the partition's log.
	note(line string)
}

// A runner is a running command.
type runner interface {
	pid() int
	signal(s syscall.Signal) // to the command and what it started
}

// A command is what start needs to know.
type command struct {
	name  string // log prefix
	argv  []string
	env   []string
	stdin []byte

	// durable says that what the command wrote must have reached the disk
	// before it counts as ended: it will never be run again.
	durable bool
}

// A memory is what must survive the supervisor.
type memory struct {
	Steps map[string]string `cbor:"1,keyasint,omitempty"` // fingerprint of each step done, by name
	Files []string          `cbor:"2,keyasint,omitempty"` // written for the last Spec
}

// A machine decides what happens in a partition. All fields belong to the
// goroutine in run; others send it events.
type machine struct {
	host    host
	root    string
	clock   func() time.Time
	publish func(Status)
	events  chan func()
	ended   chan struct{} // closed when run returns

	spec    *Spec
	hash    string
	memory  memory
	wakeAt  time.Time // when to look again, if nothing happens before
	changed time.Time // when the Spec changed last

	written  trial // directories and files
	recalled trial // memory kept as it is
	stepped  bool  // a step was done since the memory was kept
	started  bool  // was all good since the Spec changed
	revision int   // raised by whatever makes earlier promises worthless
	stopping bool
	grace    time.Duration

	services []*service
	steps    []*step
	promises []*promise
	jobs     []*job
}

// fresh reports whether it was given nothing to do, so that nothing runs.
func (m *machine) fresh() bool { return m.spec == nil && !m.stopping }

// A trial is something that is tried until it works.
type trial struct {
	ok       bool
	failures int // since it worked last
	next     time.Time
	why      string
}

// fail counts a failure and says when to try again.
func (t *trial) fail(now time.Time, why string) {
	t.ok = false
	t.failures++
	t.why = why
	t.next = now.Add(backoff(t.failures))
}

// failed is how many failures in a row make an error of a nuisance.
const failed = 3

// backoff is how long to wait after so many failures: from 100 ms doubling to
// a minute, spread so that what failed together is not tried together.
func backoff(failures int) time.Duration {
	d := time.Minute
	if failures < 11 {
		d = min(d, 100*time.Millisecond<<max(0, failures-1))
	}
	return d*4/5 + rand.N(d*2/5)
}

func newMachine(h host, root string, m memory, clock func() time.Time, publish func(Status)) *machine {
	if m.Steps == nil {
		m.Steps = make(map[string]string)
	}
	return &machine{
		host: h, root: root, memory: m, clock: clock, publish: publish,
		recalled: trial{ok: true},
		events:   make(chan func(), 64), ended: make(chan struct{}),
	}
}

// run decides until the partition has been stopped.
func (m *machine) run() {
	defer close(m.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	last := m.status()
	m.publish(last)
	for {
		now := m.clock()
		m.wakeAt = time.Time{}
		m.converge(now)
		s := m.status()
		m.started = m.started || s.Phase == PhaseStarted
		if !s.same(last) {
			last = s
			m.publish(s)
		}
		if last.Phase == PhaseStopped {
			return
		}
		timer.Stop()
		if !m.wakeAt.IsZero() {
			timer.Reset(m.wakeAt.Sub(now))
		}
		select {
		case <-timer.C:
		case event := <-m.events:
			event()
		}
	}
}

// send hands an event to the machine, unless the machine has ended.
func (m *machine) send(event func()) {
	select {
	case m.events <- event:
	case <-m.ended:
	}
}

// wake asks for another look at t at the latest.
func (m *machine) wake(t time.Time) {
	if m.wakeAt.IsZero() || t.Before(m.wakeAt) {
		m.wakeAt = t
	}
}

// due says whether t has come; if not, it asks to be woken then.
func (m *machine) due(now, t time.Time) bool {
	if now.Before(t) {
		m.wake(t)
		return false
	}
	return true
}

// converge takes every step that can be taken now.
func (m *machine) converge(now time.Time) {
	if m.stopping {
		m.stopAll(now)
		return
	}
	if m.spec == nil || !m.writeAll(now) {
		return
	}
	m.stopChanged(now)
	if m.runSteps(now, false) {
		m.startServices(now)
		if m.runSteps(now, true) && m.ready() && m.recallAll(now) {
			m.askPromises(now)
		}
	}
	m.runJobs(now)
	if d := m.deadline(); !m.started && now.Before(d) {
		m.wake(d)
	}
}

// deadline is when a partition that is not good yet counts as failed.
func (m *machine) deadline() time.Time {
	d := m.spec.StartTimeout
	if d == 0 {
		d = DefaultStartTimeout
	}
	return m.changed.Add(d)
}

// writeAll makes directories and files be.
func (m *machine) writeAll(now time.Time) bool {
	if m.written.ok {
		return true
	}
	if !m.due(now, m.written.next) {
		return false
	}
	var gone, files []string
	named := make(map[string]bool)
	for _, f := range m.spec.Files {
		named[f.Path] = true
		files = append(files, f.Path)
	}
	for _, path := range m.memory.Files {
		if !named[path] {
			gone = append(gone, path)
		}
	}
	if err := m.host.write(m.spec.Dirs, m.spec.Files, gone); err != nil {
		m.written.fail(now, err.Error())
		m.host.note(err.Error())
		m.wake(m.written.next)
		return false
	}
	m.written = trial{ok: true}
	if !slices.Equal(files, m.memory.Files) {
		m.memory.Files = files
		m.recalled.ok = false
	}
	return true
}

// recallAll keeps the memory durably.
func (m *machine) recallAll(now time.Time) bool {
	if m.recalled.ok {
		return true
	}
	if !m.due(now, m.recalled.next) {
		return false
	}
	if err := m.host.remember(m.memory, m.stepped); err != nil {
		m.recalled.fail(now, err.Error())
		m.wake(m.recalled.next)
		return false
	}
	m.recalled, m.stepped = trial{ok: true}, false
	return true
}

// apply takes over a new Spec, which has been validated. What is the same in
// both keeps its state.
func (m *machine) apply(s Spec) error {
	hash := s.Hash()
	switch {
	case m.stopping:
		return ErrStopping
	case m.spec != nil && hash == m.hash:
		return nil
	}
	m.spec, m.hash = &s, hash
	m.changed = m.clock()
	m.started = false
	m.revision++
	m.written = trial{}
	m.applySteps(s)
	m.applyServices(s)
	m.applyPromises(s)
	m.applyJobs(s)
	return nil
}

// stop asks for everything to end, within the grace if it is not zero.
func (m *machine) stop(grace time.Duration) {
	if m.stopping && (grace == 0 || m.grace != 0 && grace >= m.grace) {
		return
	}
	m.stopping, m.grace = true, grace
	now := m.clock()
	for _, v := range m.services {
		if grace != 0 && !v.killAt.IsZero() && v.killAt.After(now.Add(grace)) {
			v.killAt = now.Add(grace)
		}
	}
}

// stopAll moves everything towards its end.
func (m *machine) stopAll(now time.Time) {
	for _, p := range m.steps {
		if p.run != nil && !p.killed {
			p.killed = true
			p.run.signal(syscall.SIGKILL)
		}
	}
	for _, j := range m.jobs {
		if j.run != nil && !j.killed {
			j.killed = true
			j.run.signal(syscall.SIGKILL)
		}
	}
	for _, v := range m.services {
		m.stopService(now, v)
	}
}

// idle says whether no service and no step runs.
func (m *machine) idle() bool {
	for _, p := range m.steps {
		if p.run != nil {
			return false
		}
	}
	for _, v := range m.services {
		if v.run != nil {
			return false
		}
	}
	return !slices.ContainsFunc(m.jobs, func(j *job) bool { return j.run != nil })
}
