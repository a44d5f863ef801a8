//go:build unix

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// A reaper starts processes and collects every child, those too that were
// orphaned in the partition and handed to its init. Nothing else in this
// process may wait for children.
type reaper struct {
	spawner   spawner
	mu        sync.Mutex
	processes map[int]*process // not collected yet
}

// A process is one command, leader of a session of its own.
type process struct {
	reaper *reaper
	id     int
	done   chan struct{}      // closed when it was collected
	status syscall.WaitStatus // valid once done is closed
}

func newReaper(s spawner) *reaper { return &reaper{spawner: s, processes: make(map[int]*process)} }

// run collects children until stop is closed.
func (r *reaper) run(stop <-chan struct{}) {
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	defer signal.Stop(died)
	for {
		r.collect()
		select {
		case <-died:
		case <-stop:
			return
		}
	}
}

// start runs a command. The files are its standard streams: descriptors that
// block, for few programs expect others; or all one terminal, which becomes that
// of its session.
func (r *reaper) start(argv, env []string, dir string, files [3]int, terminal bool) (*process, error) {
	path, err := lookPath(argv[0], env, dir)
	if err != nil {
		return nil, err
	}
	r.mu.Lock() // so that it is known before it can be collected
	defer r.mu.Unlock()
	var pid int
	r.spawner.do(func() {
		pid, err = syscall.ForkExec(path, argv, &syscall.ProcAttr{
			Dir:   dir,
			Env:   env,
			Files: []uintptr{uintptr(files[0]), uintptr(files[1]), uintptr(files[2])},
			Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: terminal}, // of descriptor 0
		})
	})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	// When the partition runs out of memory, its init should be the last to go.
	_ = os.WriteFile("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", []byte("200"), 0)
	p := &process{reaper: r, id: pid, done: make(chan struct{})}
	r.processes[pid] = p
	return p, nil
}

// collect takes note of all children that have ended. The leader of a session
// takes what is left of its group with it: a worker that outlived its server
// would hold on to ports and files.
func (r *reaper) collect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for pid, p := range r.processes {
		if exited(pid) {
			_ = syscall.Kill(-pid, syscall.SIGKILL) // before pid can be used again
			r.collectOne(pid, p)
		}
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if p, ok := r.processes[pid]; ok {
			endGroup(pid)
			r.finish(p, status)
		}
	}
}

func (r *reaper) collectOne(pid int, p *process) {
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	r.finish(p, status)
}

func (r *reaper) finish(p *process, status syscall.WaitStatus) {
	p.status = status
	delete(r.processes, p.id)
	close(p.done)
}

func (p *process) pid() int { return p.id }

// signal sends s to the process and its group. One that was collected is left
// alone.
func (p *process) signal(s syscall.Signal) {
	p.reaper.mu.Lock()
	defer p.reaper.mu.Unlock()
	if p.reaper.processes[p.id] == p {
		_ = syscall.Kill(-p.id, s)
	}
}

// reason says how the process ended: nothing if well.
func (p *process) reason() string {
	switch {
	case p.status.Signaled() && p.status.CoreDump():
		return fmt.Sprintf("killed by signal %d (%s), core dumped", p.status.Signal(), p.status.Signal())
	case p.status.Signaled():
		return fmt.Sprintf("killed by signal %d (%s)", p.status.Signal(), p.status.Signal())
	case p.status.ExitStatus() != 0:
		return fmt.Sprintf("exit status %d", p.status.ExitStatus())
	}
	return ""
}

// code is the exit status as a shell gives it.
func (p *process) code() int {
	if p.status.Signaled() {
		return 128 + int(p.status.Signal())
	}
	return p.status.ExitStatus()
}

// lookPath finds a command on the PATH of env, as execvpe would.
func lookPath(name string, env []string, dir string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, d := range filepath.SplitList(lookEnv(env, "PATH")) {
		path := filepath.Join(d, name)
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("start %s: no such program in %s", name, lookEnv(env, "PATH"))
}

// lookEnv returns the last value of a variable, which is the one that counts.
func lookEnv(env []string, name string) string {
	for _, v := range slices.Backward(env) {
		if v, ok := strings.CutPrefix(v, name+"="); ok {
			return v
		}
	}
	return ""
}
