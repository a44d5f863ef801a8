package supervisor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A fakeHost is a partition in memory. What it is told is in said, in order.
type fakeHost struct {
	mu      sync.Mutex
	said    []string
	begin   time.Time
	running map[string]*fakeRunner
	starts  map[string]int
	fails   map[string]int // commands that still fail so many times, at once
	answers map[string]error
	stays   bool // commands do not end when asked to
	writing error
	saved   memory
}

type fakeRunner struct {
	host   *fakeHost
	name   string
	id     int
	exited func(string)
}

func newFakeHost() *fakeHost {
	return &fakeHost{
		begin: time.Now(), running: make(map[string]*fakeRunner), starts: make(map[string]int),
		fails: make(map[string]int), answers: make(map[string]error),
	}
}

func (h *fakeHost) sayLocked(format string, args ...any) {
	h.said = append(h.said, fmt.Sprintf("%s %s", time.Since(h.begin).Round(time.Second), fmt.Sprintf(format, args...)))
}

func (h *fakeHost) write(_ []Dir, files []File, gone []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sayLocked("write %d files, remove %v", len(files), gone)
	return h.writing
}

func (h *fakeHost) remember(m memory, _ bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.saved = m
	return nil
}

func (h *fakeHost) start(c command, exited func(string)) (runner, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.starts[c.name]++
	h.sayLocked("start %s", strings.Join(c.argv, " "))
	r := &fakeRunner{host: h, name: c.name, id: h.starts[c.name], exited: exited}
	if h.fails[c.name] > 0 {
		h.fails[c.name]--
		go exited("exit status 1")
		return r, nil
	}
	if strings.HasPrefix(c.name, "step") {
		go exited("")
		return r, nil
	}
	h.running[c.name] = r
	return r, nil
}

func (h *fakeHost) check(checks []Check, _ []string, _ time.Duration, done func(error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var err error
	for _, c := range checks {
		err = errors.Join(err, h.answers[c.TCP])
		if name, _, ok := strings.Cut(c.TCP, ":"); ok && h.running[name] == nil {
			err = errors.New("connection refused")
		}
	}
	go done(err)
}

func (h *fakeHost) note(string) {}

func (r *fakeRunner) pid() int { return r.id }

func (r *fakeRunner) signal(s syscall.Signal) {
	r.host.mu.Lock()
	r.host.sayLocked("signal %s %d", r.name, s)
	stays := r.host.stays && s != syscall.SIGKILL
	r.host.mu.Unlock()
	if !stays {
		r.host.end(r.name, "killed")
	}
}

// end ends a running command.
func (h *fakeHost) end(name, reason string) {
	h.mu.Lock()
	r := h.running[name]
	delete(h.running, name)
	h.mu.Unlock()
	if r != nil {
		go r.exited(reason)
	}
}

func (h *fakeHost) answer(address string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answers[address] = err
}

// A rig is a machine that runs in virtual time on a fake host.
type rig struct {
	*testing.T
	host    *fakeHost
	machine *machine
	board   *board
}

func newRig(t *testing.T, m memory) *rig {
	t.Helper()
	r := &rig{T: t, host: newFakeHost(), board: newBoard()}
	r.machine = newMachine(r.host, "/data", m, time.Now, r.board.write)
	go r.machine.run()
	t.Cleanup(func() {
		r.machine.send(func() { r.machine.stop(time.Second) })
		<-r.machine.ended
	})
	return r
}

func (r *rig) apply(s Spec) {
	r.Helper()
	if err := s.Validate("/data"); err != nil {
		r.Fatal(err)
	}
	r.machine.send(func() {
		if err := r.machine.apply(s); err != nil {
			r.Error(err)
		}
	})
	synctest.Wait()
}

// want fails unless the partition is in the phase for the reason.
func (r *rig) want(p Phase, healthy bool, reason string) {
	r.Helper()
	synctest.Wait()
	s, _ := r.board.read()
	if s.Phase != p || s.Healthy != healthy || !strings.Contains(s.Reason, reason) || (reason == "") != (s.Reason == "") {
		r.Errorf("phase %s, healthy %t: %q; want %s, %t: %q", s.Phase, s.Healthy, s.Reason, p, healthy, reason)
	}
}

func (r *rig) starts(name string, want int) {
	r.Helper()
	r.host.mu.Lock()
	defer r.host.mu.Unlock()
	if got := r.host.starts[name]; got != want {
		r.Errorf("%s was started %d times, want %d", name, got, want)
	}
}

// oneService is a partition with a step, a service and a promise.
func oneService() Spec {
	return Spec{
		Steps:    []Step{{Name: "step1", Argv: []string{"install"}}},
		Services: []Service{{Name: "web", Argv: []string{"web"}, Ready: []Check{{TCP: "web:80"}}}},
		Promises: []Promise{{Name: "answers", Check: Check{TCP: "answers"}}},
	}
}

func TestStartedMeansAllIsGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory{})
		r.host.answer("web:80", errors.New("connection refused"))
		r.host.answer("answers", errors.New("no answer"))
		r.apply(oneService())
		r.want(PhaseStarting, false, "service web is not ready: connection refused")
		r.host.answer("web:80", nil)
		time.Sleep(time.Second)
		r.want(PhaseStarting, false, "promise answers: no answer")
		r.host.answer("answers", nil)
		time.Sleep(10 * time.Second)
		r.want(PhaseStarted, true, "")

		r.host.answer("answers", errors.New("no answer"))
		for s, _ := r.board.read(); s.Healthy; s, _ = r.board.read() {
			time.Sleep(100 * time.Millisecond)
		}
		r.want(PhaseStarted, false, "promise answers: no answer")
		time.Sleep(10 * time.Second)
		r.want(PhaseError, false, "promise answers: no answer")
		r.host.answer("answers", nil)
		time.Sleep(DefaultPromiseEvery)
		r.want(PhaseStarted, true, "")
	})
}

func TestNotStartedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory{})
		r.host.answer("answers", errors.New("no answer"))
		r.apply(oneService())
		time.Sleep(DefaultStartTimeout - time.Second)
		r.want(PhaseStarting, false, "no answer")
		time.Sleep(time.Second)
		r.want(PhaseError, false, "not started in time: promise answers: no answer")
		r.host.answer("answers", nil)
		time.Sleep(DefaultPromiseEvery)
		r.want(PhaseStarted, true, "")
	})
}

func TestCrashingServiceBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory{})
		r.host.fails["web"] = 1000
		r.apply(oneService())
		r.want(PhaseStarting, false, "service web: exit status 1")
		time.Sleep(time.Second)
		r.want(PhaseError, false, "service web: exit status 1")
		time.Sleep(5 * time.Minute)
		r.host.mu.Lock()
		starts := r.host.starts["web"]
		r.host.fails["web"] = 0
		r.host.mu.Unlock()
		if starts < 12 || starts > 16 { // 0.1 s doubling to a minute
			t.Errorf("started %d times in 5 minutes", starts)
		}
		time.Sleep(2 * time.Minute) // more than any pause
		r.want(PhaseStarted, true, "")

		r.host.end("web", "killed by signal 11") // once is no error, and tried again soon
		r.want(PhaseStarted, false, "service web: killed by signal 11")
		time.Sleep(200 * time.Millisecond)
		r.want(PhaseStarted, true, "")
	})
}

func TestOnlyWhatChangedRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory{})
		spec := Spec{Services: []Service{
			{Name: "db", Argv: []string{"db"}, Revision: "1"},
			{Name: "web", Argv: []string{"web"}, After: []string{"db"}, Ready: []Check{{TCP: "web:80"}}},
		}}
		check := func(what string, web, db int) {
			t.Helper()
			r.apply(spec)
			time.Sleep(time.Second)
			r.want(PhaseStarted, true, "")
			t.Log(what)
			r.starts("web", web)
			r.starts("db", db)
		}
		check("first", 1, 1)
		check("nothing", 1, 1)
		spec.Services = slices.Clone(spec.Services)
		spec.Services[0].Revision = "2"
		check("db's files", 1, 2)
		spec.Services = slices.Clone(spec.Services)
		spec.Services[1].Argv = []string{"web", "--more"}
		check("web's command", 2, 2)
		spec.Promises = []Promise{{Name: "p", Check: Check{TCP: "p"}}}
		spec.Files = []File{{Path: "/data/a"}}
		check("a promise and a file", 2, 2)
		spec.Env = []string{"A=1"}
		check("the environment", 3, 3)
		spec.Services = spec.Services[:1]
		check("web removed", 3, 3)
		if r.host.running["web"] != nil {
			t.Error("web runs")
		}
	})
}

func TestServiceIsNotReadyInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory{})
		r.host.answer("web:80", errors.New("connection refused"))
		spec := oneService()
		spec.Services[0].ReadyTimeout = 5 * time.Second
		spec.Services = append(spec.Services, Service{Name: "later", Argv: []string{"later"}, After: []string{"web"}})
		r.apply(spec)
		time.Sleep(5*time.Second + 50*time.Millisecond)
		r.want(PhaseStarting, false, "service web: not ready in time: connection refused")
		time.Sleep(20 * time.Second)
		r.want(PhaseError, false, "service web: not ready in time")
		r.starts("later", 0)
		r.host.answer("web:80", nil)
		time.Sleep(time.Minute)
		r.want(PhaseStarted, true, "")
		r.starts("later", 1)
	})
}

func TestStepsRunOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory{})
		spec := oneService()
		spec.Steps = append(spec.Steps, Step{Name: "step2", Argv: []string{"accounts"}, After: "web", Stdin: []byte("pw1")})
		r.host.fails["step2"] = 2
		r.apply(spec)
		time.Sleep(time.Second)
		r.want(PhaseStarted, true, "")
		r.starts("step1", 1)
		r.starts("step2", 3)
		spec.Steps = slices.Clone(spec.Steps)
		spec.Steps[1].Stdin = []byte("pw2")
		r.apply(spec)
		time.Sleep(time.Second)
		r.starts("step1", 1)
		r.starts("step2", 4)
		r.starts("web", 1)

		again := newRig(t, r.host.saved)
		again.apply(spec)
		time.Sleep(time.Second)
		again.want(PhaseStarted, true, "")
		again.starts("step1", 0)
		again.starts("step2", 0)
	})
}

func TestStopIsPoliteThenFirm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory{})
		r.apply(oneService())
		r.want(PhaseStarted, true, "")
		r.host.mu.Lock()
		r.host.stays, r.host.said, r.host.begin = true, nil, time.Now()
		r.host.mu.Unlock()
		r.machine.send(func() { r.machine.stop(0) })
		<-r.machine.ended
		got := strings.Join(r.host.said, "\n")
		if want := "0s signal web 15\n10s signal web 9"; got != want {
			t.Errorf("stop did:\n%s\nwant:\n%s", got, want)
		}
		r.want(PhaseStopped, false, "")
	})
}

func TestFailingWriteDisturbsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory{})
		spec := oneService()
		r.apply(spec)
		r.want(PhaseStarted, true, "")
		r.host.writing = errors.New("write file /data/a: no space left on device")
		spec.Files = []File{{Path: "/data/a"}}
		r.apply(spec)
		time.Sleep(time.Second)
		r.want(PhaseError, false, "no space left on device")
		r.starts("web", 1)
		r.host.mu.Lock()
		r.host.writing = nil
		r.host.mu.Unlock()
		time.Sleep(time.Minute)
		r.want(PhaseStarted, true, "")
		r.starts("web", 1)
	})
}

func TestValidate(t *testing.T) {
	ok := oneService()
	for _, c := range []struct {
		want   string
		change func(*Spec)
	}{
		{"below /data", func(s *Spec) { s.Files = []File{{Path: "/etc/passwd"}} }},
		{"below /data", func(s *Spec) { s.Files = []File{{Path: "/data/../etc/passwd"}} }},
		{"below /data", func(s *Spec) { s.Dirs = []Dir{{Path: "/database"}} }},
		{"supervisor's own", func(s *Spec) { s.Files = []File{{Path: "/data/.slapd/memory"}} }},
		{"named twice", func(s *Spec) { s.Services = append(s.Services, s.Services[0]) }},
		{"want a name", func(s *Spec) { s.Services[0].Name = "a\nb" }},
		{"want a name", func(s *Spec) { s.Steps[0].Name = "" }},
		{"no command", func(s *Spec) { s.Services[0].Argv = nil }},
		{"zero byte", func(s *Spec) { s.Services[0].Argv = []string{"a\x00b"} }},
		{"no such service", func(s *Spec) { s.Steps[0].After = "nobody" }},
		{"exactly one", func(s *Spec) { s.Promises[0].Check = Check{} }},
		{"exactly one", func(s *Spec) { s.Promises[0].Check = Check{TCP: "a", HTTP: "http://b"} }},
		{"want http://", func(s *Spec) { s.Promises[0].Check = Check{HTTP: "ftp://b"} }},
		{"more than", func(s *Spec) { s.Steps[0].Stdin = make([]byte, MaxContents+1) }},
		{"more than", func(s *Spec) { s.Promises = make([]Promise, MaxItems+1) }},
		{"unknown", func(s *Spec) { s.Services[0].StopSignal = 99 }},
	} {
		s := Spec{Steps: slices.Clone(ok.Steps), Services: slices.Clone(ok.Services), Promises: slices.Clone(ok.Promises)}
		c.change(&s)
		if err := s.Validate("/data"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	if err := ok.Validate("/data"); err != nil {
		t.Error(err)
	}
}
