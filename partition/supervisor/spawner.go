//go:build unix

package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/slapmesh/slapmesh/partition/confine"
)

// A spawner is a confined thread, from which all commands are started: they
// are born confined, while their supervisor stays free, and out of their
// reach.
type spawner chan func()

// newSpawner returns a spawner, and what of its walls the kernel lacks.
func newSpawner(f confine.Files) (spawner, []string, error) {
	s, ready, decided := make(spawner), make(chan error), make(chan struct{})
	var lacks []string
	var be func()
	be = func() {
		runtime.LockOSThread()
		if onFirstThread() { // who looks at the process sees this thread: it stays free
			go be()
			<-decided
			runtime.UnlockOSThread()
			return
		}
		var err error
		if lacks, err = confine.Thread(f); err != nil {
			ready <- fmt.Errorf("confine: %w", err)
			return
		}
		ready <- nil
		for start := range s {
			start()
		}
	}
	go be()
	err := <-ready
	close(decided)
	return s, lacks, err
}

// do calls f on the confined thread, and waits for it.
func (s spawner) do(f func()) {
	done := make(chan struct{})
	s <- func() {
		defer close(done)
		f()
	}
	<-done
}

// files says what commands may use. Inside walls that is all but what is the
// supervisor's own; without walls, the release, the partition's data, and what
// every program of the computer reads.
func (o Options) files() (confine.Files, error) {
	f := confine.Files{Write: []string{o.Root, "/tmp", "/dev", "/proc"}}
	if o.Tree != "" {
		f.Read = []string{
			o.Tree, "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/sys", "/run/systemd/resolve",
		}
		return f, nil
	}
	f.List = []string{"/"}
	entries, err := os.ReadDir("/")
	if err != nil {
		return f, err
	}
	for _, e := range entries {
		if path := filepath.Join("/", e.Name()); path != "/run" {
			f.Read = append(f.Read, path)
		}
	}
	return f, nil
}
