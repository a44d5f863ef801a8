package main_test

import (
	"bufio"
	"strings"
	"testing"

	"github.com/creack/pty"

	"github.com/slapmesh/slapmesh/protocol"
)

// Whoever sits at a terminal talks to a program inside as if it ran here.
func TestTerminal(t *testing.T) {
	t.Parallel()
	downloaded(t, "redis")
	w := newWorld(t, newNetwork(t))
	a := w.mesh("2", "a")[0]
	a.request(protocol.RequestInput{Reference: "cache", Release: "redis"})
	talk := []string{"--dir", a.dir, "exec", "--tty", "cache", "--", "sh", "-c", `test -t 0 && test -t 1 && test -t 2 && echo "a terminal: $TERM"; read line; echo "heard $line"; exit 5`}

	if r := w.slapd(talk...); r.code != 1 || !strings.Contains(r.complaint, "standard input and output are no terminal") {
		t.Errorf("without a terminal: %+v", r)
	}
	cmd := w.command(talk...)
	cmd.Env = append(cmd.Environ(), "TERM=vt100")
	screen, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = screen.Close() }()
	lines := bufio.NewReader(screen)
	line := func(want string) {
		if got, err := lines.ReadString('\n'); strings.TrimSpace(got) != want {
			t.Fatalf("the screen shows %q, %v; want %q", got, err, want)
		}
	}
	line("a terminal: vt100")
	if _, err := screen.WriteString("hellp\x7fo\r"); err != nil { // the terminal inside edits the line
		t.Fatal(err)
	}
	for {
		got, err := lines.ReadString('\n')
		if strings.TrimSpace(got) == "heard hello" {
			break
		}
		if err != nil || !strings.HasPrefix(got, "hellp") { // what was typed is shown, once
			t.Fatalf("the screen shows %q, %v", got, err)
		}
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 5 {
		t.Errorf("it ended with %v", err)
	}
}
