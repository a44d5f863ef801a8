//go:build linux

package confine

import (
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A filter is run here as the kernel would run it.
func TestProgram(t *testing.T) {
	if auditArch == 0 {
		t.Skip(errArch)
	}
	vm, err := bpf.NewVM(program())
	if err != nil {
		t.Fatal(err)
	}
	errno := func(e unix.Errno) int { return retErrno | int(e) }
	tests := map[string]struct {
		arch   uint32
		number uint32
		args   [2]uint32
		want   int
	}{
		"read":                        {auditArch, unix.SYS_READ, [2]uint32{}, retAllow},
		"a call of the future":        {auditArch, 900, [2]uint32{}, retAllow},
		"mount":                       {auditArch, unix.SYS_MOUNT, [2]uint32{}, errno(unix.EPERM)},
		"the last of the list":        {auditArch, unix.SYS_NFSSERVCTL, [2]uint32{}, errno(unix.EPERM)},
		"a thread":                    {auditArch, unix.SYS_CLONE, [2]uint32{unix.CLONE_VM | unix.CLONE_THREAD}, retAllow},
		"a process in a namespace":    {auditArch, unix.SYS_CLONE, [2]uint32{unix.CLONE_NEWPID}, errno(unix.EPERM)},
		"clone3":                      {auditArch, unix.SYS_CLONE3, [2]uint32{}, errno(unix.ENOSYS)},
		"internet":                    {auditArch, unix.SYS_SOCKET, [2]uint32{unix.AF_INET6}, retAllow},
		"packets":                     {auditArch, unix.SYS_SOCKET, [2]uint32{unix.AF_PACKET}, errno(unix.EAFNOSUPPORT)},
		"which personality":           {auditArch, unix.SYS_PERSONALITY, [2]uint32{0xffffffff}, retAllow},
		"addresses that are the same": {auditArch, unix.SYS_PERSONALITY, [2]uint32{0x40000}, errno(unix.EPERM)},
		"size of a terminal":          {auditArch, unix.SYS_IOCTL, [2]uint32{1, unix.TIOCGWINSZ}, retAllow},
		"type into a terminal":        {auditArch, unix.SYS_IOCTL, [2]uint32{1, unix.TIOCSTI}, errno(unix.EPERM)},
		"descriptor like a control":   {auditArch, unix.SYS_IOCTL, [2]uint32{unix.TIOCSTI, unix.TIOCGWINSZ}, retAllow},
		"another processor":           {unix.AUDIT_ARCH_I386, unix.SYS_READ, [2]uint32{}, retKill},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := vm.Run(data(test.number, test.arch, test.args))
			if err != nil || uint32(got) != uint32(test.want) {
				t.Errorf("%#x, %v; want %#x", got, err, test.want)
			}
		})
	}
}

// data is what a filter sees of a call, in the order of package bpf, which
// reads words as they come from a network.
func data(number, arch uint32, args [2]uint32) []byte {
	b := make([]byte, offArgs+6*8)
	put := func(at int, v uint32) {
		b[at], b[at+1], b[at+2], b[at+3] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
	}
	put(offNumber, number)
	put(offArch, arch)
	for i, a := range args {
		put(offArgs+8*i, a)
	}
	return b
}

// Who is not confined stays so, though another thread of the process is.
func TestOneThread(t *testing.T) {
	dir := t.TempDir()
	secret := dir + "/secret"
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	var lacks []string
	go func() {
		runtime.LockOSThread() // and never unlocked
		var err error
		if lacks, err = Thread(Files{Read: []string{"/usr", "/bin", "/lib", "/lib64", "/etc", "/nonexistent"}}); err == nil {
			err = exec.CommandContext(t.Context(), "cat", secret).Run()
		}
		done <- err
	}()
	err := <-done
	if len(lacks) > 0 {
		t.Skipf("this kernel lacks %v", lacks)
	}
	if err == nil {
		t.Error("a confined thread's child reads what it may not")
	}
	if _, err := os.ReadFile(secret); err != nil {
		t.Errorf("the others are confined too: %v", err)
	}
}

// Older kernels are asked for no more than they know.
func TestVersions(t *testing.T) {
	for version, want := range map[int]struct {
		ok, truncate, dev, scoped bool
	}{
		1: {}, 2: {ok: true}, 3: {ok: true, truncate: true},
		5: {ok: true, truncate: true, dev: true},
		6: {ok: true, truncate: true, dev: true, scoped: true},
		9: {ok: true, truncate: true, dev: true, scoped: true},
	} {
		attr, ok := ruleset(version)
		has := func(right uint64) bool { return attr.Handled_access_fs&right != 0 }
		if ok != want.ok || ok && (!has(rights2) || has(rights3) != want.truncate || has(rights5) != want.dev || (attr.Scoped != 0) != want.scoped) {
			t.Errorf("version %d: %t %+v", version, ok, attr)
		}
	}
}
