package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	slapdmain "github.com/slapmesh/slapmesh/cmd/slapd"
)

// The tests of this package run real peers: the program as users get it, as
// processes with state folders of their own. All that they make is below one
// folder, whose name tells what is theirs from anything else on the computer.
var scratch string

func TestMain(m *testing.M) {
	if text := os.Getenv(wrongClock); text != "" { // this is slapd, started by a test
		wrong, err := time.ParseDuration(text)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		os.Exit(slapdmain.Run(os.Args[1:], func() time.Time { return time.Now().Add(wrong) }))
	}
	os.Exit(run(m))
}

// wrongClock makes this test binary a slapd whose clock is wrong by so much.
// The program that is shipped knows nothing of it.
const wrongClock = "SLAPD_TEST_WRONG_CLOCK"

func run(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "slapd-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	// The users of partitions have to pass through it.
	if err := os.Chmod(scratch, 0o711); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if left := processesOf(scratch); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "processes that the tests left behind: %v\n", left)
		sweep(scratch)
		code = max(code, 1)
	}
	return code
}

// slapd returns the program, which is built when it is first asked for.
func slapd(tb testing.TB) string {
	tb.Helper()
	if testing.Short() {
		tb.Skip("runs real peers")
	}
	path, err := program()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// program builds slapd once: static, as it must be to run inside partitions.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "slapd")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build slapd: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return path, os.Chmod(path, 0o755)
})
