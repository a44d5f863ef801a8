//go:build unix

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lockName is the file in the run folder that one supervisor holds locked. It
// goes with the folder: when it is removed, the supervisor ends.
const lockName = "lock"

// Main is a supervisor's life. It returns the exit status.
//
// It makes the process small: the program may be a large one that was started
// again for this.
func Main(args []string) int {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(20)
	debug.SetMemoryLimit(8 << 20)

	o, err := parseArgs(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "slapd:", err)
		return 2
	}
	//nolint:forbidigo // a process of its own: clock and context enter here
	err = o.supervise(context.Background(), time.Now)
	if err != nil {
		fmt.Fprintln(os.Stderr, "slapd: supervisor:", err)
		o.ready(err.Error())
		return 1
	}
	return 0
}

func parseArgs(args []string) (Options, error) {
	if len(args) != 7 {
		return Options{}, fmt.Errorf("%s: want ROOT RUN READY TREE PROCESSES", Verb)
	}
	ready, err := strconv.Atoi(args[4])
	if err != nil {
		return Options{}, fmt.Errorf("%s: ready: %w", Verb, err)
	}
	processes, err := strconv.ParseInt(args[6], 10, 64)
	if err != nil {
		return Options{}, fmt.Errorf("%s: processes: %w", Verb, err)
	}
	return Options{Root: args[2], Run: args[3], Ready: ready, Tree: args[5], Processes: processes}, nil
}

// ready tells who started us how it went, and lets go.
func (o Options) ready(what string) {
	if o.Ready < 0 {
		return
	}
	f := os.NewFile(uintptr(o.Ready), "ready")
	_, _ = f.WriteString(what)
	_ = f.Close()
}

// supervise returns when the partition has been stopped, or is gone.
func (o Options) supervise(ctx context.Context, clock func() time.Time) error {
	KeepDescriptors() // what the daemon leaked stays with us
	ignoreSignals()
	syscall.Umask(0o077)
	if err := adoptOrphans(); err != nil {
		return fmt.Errorf("adopt orphans: %w", err)
	}
	if err := o.bound(); err != nil {
		return err
	}
	lock, err := o.lock()
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	h, m, err := o.assemble(ctx, clock)
	if err != nil {
		return err
	}
	listener, err := listen(o.Run)
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	defer close(stop)
	go h.reaper.run(stop)

	b := newBoard()
	engine := newMachine(h, o.Root, m, clock, b.write)
	s := &server{
		root: o.Root, machine: engine, host: h, board: b,
		allowed: outsiders, places: make(chan struct{}, maxCalls), network: newNetwork(h.dial),
	}
	go s.serve(listener)
	gone := make(chan struct{})
	go watchFolder(lock, func() { close(gone) })
	o.ready("ok")

	go engine.run()
	select {
	case <-engine.ended:
	case <-gone:
		engine.send(func() { engine.stop(1) })
	}
	killAll(h.reaper)
	_ = os.Remove(filepath.Join(o.Run, SocketName))
	_ = listener.Close()
	await(s.drained(), time.Second)
	return nil
}

// assemble makes the host and reads what was done before.
func (o Options) assemble(ctx context.Context, clock func() time.Time) (*inside, memory, error) {
	null, err := syscall.Open("/dev/null", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, memory{}, fmt.Errorf("open /dev/null: %w", err)
	}
	files, err := o.files()
	if err != nil {
		return nil, memory{}, err
	}
	spawner, lacks, err := newSpawner(files)
	if err != nil {
		return nil, memory{}, err
	}
	h := &inside{
		root: o.Root, env: os.Environ(), loader: loader{o.Tree}, null: null, clock: clock,
		dial: func(address string, timeout time.Duration) (net.Conn, error) {
			d := net.Dialer{Timeout: timeout}
			return d.DialContext(ctx, "tcp", address)
		},
		reaper: newReaper(spawner), journal: openJournal(o.Run, clock), memory: newMemoryFile(o.Root),
	}
	if len(lacks) > 0 {
		h.note("this kernel confines no services: it lacks " + strings.Join(lacks, " and "))
	}
	m, err := h.memory.load()
	return h, m, err
}

// lock makes this the only supervisor of its run folder.
func (o Options) lock() (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(o.Run, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock partition: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock partition: supervised already: %w", err), f.Close())
	}
	// Where the kernel does not tell whose a socket is, this does.
	if err := errors.Join(f.Truncate(0), say(f, strconv.Itoa(os.Getpid()))); err != nil {
		return nil, errors.Join(fmt.Errorf("lock partition: %w", err), f.Close())
	}
	return f, nil
}

// say writes one word.
func say(f *os.File, word string) error {
	_, err := f.WriteString(word)
	return err
}

// listen opens the socket. The lock is held, so one that exists is dead.
func listen(run string) (*net.UnixListener, error) {
	name, done, err := socketPath(run)
	if err != nil {
		return nil, err
	}
	defer done()
	_ = os.Remove(filepath.Join(run, SocketName))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen: %w", plain(err))
	}
	l.SetUnlinkOnClose(false) // its name was relative to a descriptor
	return l, nil
}

// outsiders lets in who is outside the partition: a process in our own pid
// namespace is one that we supervise. Without a namespace of our own, the
// user is all that can be checked.
func outsiders(conn *net.UnixConn) error {
	pid, uid, err := peer(conn)
	if err != nil {
		return err
	}
	if os.Getpid() == 1 {
		if pid != 0 {
			return errors.New("refused: not for the partition's own processes")
		}
		return nil
	}
	if uid != 0 && uid != os.Getuid() {
		return errors.New("refused: another user's supervisor")
	}
	return nil
}

// ignoreSignals makes stray signals harmless: only the socket, or SIGKILL
// from outside, ends a supervisor. They are caught rather than ignored, for
// commands would inherit that.
func ignoreSignals() {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGUSR1,
		syscall.SIGUSR2, syscall.SIGPIPE, syscall.SIGALRM, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU,
		syscall.SIGABRT, syscall.SIGTRAP, syscall.SIGILL, syscall.SIGSYS, syscall.SIGXCPU, syscall.SIGXFSZ,
		syscall.SIGWINCH, syscall.SIGCONT)
	go func() {
		for range caught { // nothing to do, by design
		}
	}()
}
