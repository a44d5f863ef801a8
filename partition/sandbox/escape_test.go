package sandbox_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/partition/sandbox"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// No process inside gets out, looks into its supervisor, or asks the kernel
// for what administers a computer; all that servers need works.
func TestEscape(t *testing.T) {
	b := newBench(t, "")
	r := b.launch()
	said, code := b.exec(r, "escape")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, said)
	}
	lines := 0
	for line := range strings.Lines(said) {
		lines++
		if strings.HasPrefix(line, "OUT:") || strings.HasPrefix(line, "NEEDED:") {
			t.Error(strings.TrimSpace(line))
		}
	}
	if lines < 40 {
		t.Errorf("only %d attempts:\n%s", lines, said)
	}
	for what, want := range map[string]string{
		"mount:": "operation not permitted", "load a module:": "operation not permitted", "memory of init:": "permission denied",
		"kill init:": "operation not permitted", "virtual sockets:": "address family not supported", "clone3:": "function not implemented",
	} {
		if !strings.Contains(said, what+" ") || !strings.Contains(lineOf(said, what), want) {
			t.Errorf("%q, want %s", lineOf(said, what), want)
		}
	}
	if log, _ := os.ReadFile(filepath.Join(sandbox.Run(b.folder), supervisor.LogName)); strings.Contains(string(log), "confines no services") {
		t.Errorf("%s", log)
	}
}

// Without namespaces the kernel's calls and the supervisor are out of reach
// all the same, and so are files of others.
func TestEscapePlain(t *testing.T) {
	b := newBench(t, sandbox.GradePlain)
	r := b.launch()
	said, _ := b.exec(r, "escape")
	for _, what := range []string{"mount:", "user namespace:", "load a module:", "trace init:", "raw packets:", "the release:", "io_uring:"} {
		if line := lineOf(said, what); line == "" || strings.HasPrefix(line, "OUT:") {
			t.Errorf("%s %q", what, line)
		}
	}
	if os.Getuid() != 0 {
		return // this test's folder is in /tmp, which all may use
	}
	if out, code := b.exec(r, "ls", sandbox.Private(b.folder)); code == 0 {
		t.Errorf("the daemon's own folder can be read: %s", out)
	}
	if out, code := b.exec(r, "read", sandbox.Run(b.folder)+"/log"); code == 0 {
		t.Errorf("the supervisor's log can be read: %s", out)
	}
}

func lineOf(said, what string) string {
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, what) || strings.HasPrefix(line, "OUT: "+strings.TrimSuffix(what, ":")) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
