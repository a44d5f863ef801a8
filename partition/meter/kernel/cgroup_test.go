//go:build linux

package kernel

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/partition/meter"
)

// group makes a control group of one controller, or skips the test where
// there is none that we may make.
func group(t *testing.T, mounts ...string) string {
	t.Helper()
	for _, mount := range mounts {
		dir := filepath.Join(mount, fmt.Sprintf("meter-test-%d-%s", os.Getpid(), filepath.Base(t.Name())))
		if _, err := os.Stat(filepath.Join(mount, "cgroup.procs")); err != nil {
			continue
		}
		if err := os.Mkdir(dir, 0o755); err == nil {
			t.Cleanup(func() { _ = os.Remove(dir) })
			return dir
		}
	}
	t.Skip("no control groups that we may make")
	return ""
}

// What real control groups account is what the kernel tells who waited.
func TestRealGroups(t *testing.T) {
	if testing.Short() {
		t.Skip("uses processor time")
	}
	tests := map[string][][]string{
		"version1": {{"/sys/fs/cgroup/cpuacct"}, {"/sys/fs/cgroup/memory"}},
		"version2": {{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}},
	}
	for name, controllers := range tests {
		t.Run(name, func(t *testing.T) {
			p := &Partition{Kernel: Open("")}
			for _, mounts := range controllers {
				p.Cgroups = append(p.Cgroups, group(t, mounts...))
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), "TEST_SPIN=parent")
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for _, dir := range p.Cgroups {
				if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := in.Write([]byte{0}); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(out, make([]byte, 5)); err != nil { // it has used what it will
				t.Fatal(err)
			}
			r, err := p.Read(t.Context())
			if err != nil || r.By != meter.ByCgroup || len(r.Tasks) != 1 {
				t.Fatalf("read %+v, %v", r, err)
			}
			if name == "version1" && r.Memory == 0 {
				t.Error("no memory used")
			}
			_ = in.Close()
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
			rusage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
			want := time.Duration(rusage.Utime.Nano() + rusage.Stime.Nano())
			ratio := float64(r.Tasks[0].Own) / float64(want)
			t.Logf("%v measured, %v used: ratio %.3f", time.Duration(r.Tasks[0].Own), want, ratio)
			if ratio < 0.9 || ratio > 1.05 {
				t.Errorf("%v measured, %v used: ratio %.3f", time.Duration(r.Tasks[0].Own), want, ratio)
			}
			deadline := time.NewTimer(10 * time.Second)
			defer deadline.Stop()
			for _, dir := range p.Cgroups {
				for os.Remove(dir) != nil {
					select {
					case <-deadline.C:
						t.Fatal("the group does not go away")
					default:
					}
				}
			}
			if r, err := p.Read(t.Context()); err != nil || len(r.Tasks) != 0 || r.By != "" {
				t.Errorf("without a group: %+v, %v", r, err)
			}
		})
	}
}

// A network namespace of its own is told from the computer's.
func TestRealNetwork(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root makes network namespaces")
	}
	for name, flags := range map[string]uintptr{"own": syscall.CLONE_NEWNET, "shared": 0} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "cat")
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Skip(err)
			}
			r, err := (&Partition{Kernel: Open(""), PID: func() int { return cmd.Process.Pid }}).Read(t.Context())
			if err != nil || len(r.Network) == 1 != (name == "own") {
				t.Errorf("read %+v, %v", r.Network, err)
			}
			_ = in.Close()
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
