package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/protocoltest"
)

func TestLogs(t *testing.T) {
	c := serve(t, protocoltest.New().As("ann", true))
	ref := protocol.Ref{Reference: "db1"}
	if _, err := c.Logs(t.Context(), ref, protocol.LogQuery{}); protocol.CodeOf(err) != protocol.ErrNotFound {
		t.Fatal(err)
	}
	if _, err := c.Request(t.Context(), protocol.RequestInput{Reference: "db1", Release: "mariadb"}); err != nil {
		t.Fatal(err)
	}
	const want = "mariadbd: starting\nmariadbd: ready\n"
	for _, follow := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := c.Logs(ctx, ref, protocol.LogQuery{Follow: follow, Tail: 5})
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
			t.Errorf("follow %v: %q %v", follow, got, err)
		}
		if !follow {
			if n, err := r.Read(got); n != 0 || err != io.EOF {
				t.Errorf("%d more bytes, %v", n, err)
			}
		}
		cancel()
		_ = r.Close()
	}
}

func TestExec(t *testing.T) {
	c := serve(t, protocoltest.New().As("ann", true))
	ref := protocol.Ref{Reference: "db1"}
	if _, err := c.Request(t.Context(), protocol.RequestInput{Reference: "db1", Release: "mariadb"}); err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("0123456789abcdef", 64<<10) // 1 MiB
	for _, tc := range []struct {
		name   string
		ref    string
		argv   []string
		stdin  io.Reader
		code   int
		stdout string
		stderr string
		refuse protocol.Code
	}{
		{"output", "db1", []string{"echo", "a", "b c"}, nil, 0, "a b c\n", "", ""},
		{"exit code", "db1", []string{"false"}, strings.NewReader("unread"), 1, "", "no\n", ""},
		{"no stdin", "db1", []string{"cat"}, nil, 0, "", "", ""},
		{"both ways", "db1", []string{"cat"}, strings.NewReader(large), 0, large, "", ""},
		{"no program", "db1", []string{"nope"}, nil, 0, "", "", protocol.ErrNotFound},
		{"nothing", "db1", nil, nil, 0, "", "", protocol.ErrInvalid},
		{"long", "db1", []string{large}, nil, 0, "", "", protocol.ErrInvalid},
		{"no instance", "db9", []string{"cat"}, nil, 0, "", "", protocol.ErrNotFound},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ref.Reference = tc.ref
			var stdout, stderr bytes.Buffer
			code, err := c.Exec(t.Context(), ref, protocol.ExecInput{Argv: tc.argv}, tc.stdin, &stdout, &stderr)
			if code != tc.code || stdout.String() != tc.stdout || stderr.String() != tc.stderr || protocol.CodeOf(err) != tc.refuse || (err == nil) != (tc.refuse == "") {
				t.Errorf("%d, %d bytes, %q, %v", code, stdout.Len(), &stderr, err)
			}
		})
	}
}

// Talk and answer, to see that neither direction waits for the other's end.
func TestExecConversation(t *testing.T) {
	c := serve(t, protocoltest.New().As("ann", true))
	if _, err := c.Request(t.Context(), protocol.RequestInput{Reference: "db1", Release: "mariadb"}); err != nil {
		t.Fatal(err)
	}
	stdin, say := io.Pipe()
	hear, stdout := io.Pipe()
	done := make(chan error)
	go func() {
		_, err := c.Exec(t.Context(), protocol.Ref{Reference: "db1"}, protocol.ExecInput{Argv: []string{"cat"}}, stdin, stdout, io.Discard)
		done <- err
	}()
	for _, line := range []string{"one\n", "two\n"} {
		if _, err := io.WriteString(say, line); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(line))
		if _, err := io.ReadFull(hear, got); err != nil || string(got) != line {
			t.Fatalf("%q %v", got, err)
		}
	}
	_ = say.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestExecTerminal(t *testing.T) {
	c := serve(t, protocoltest.New().As("ann", true))
	if _, err := c.Request(t.Context(), protocol.RequestInput{Reference: "db1", Release: "mariadb"}); err != nil {
		t.Fatal(err)
	}
	sizes := make(chan protocol.TerminalSize, 1)
	sizes <- protocol.TerminalSize{Rows: 50, Columns: 120}
	in := protocol.ExecInput{Argv: []string{"terminal"}, Terminal: &protocol.Terminal{Type: "xterm", Size: protocol.TerminalSize{Rows: 24, Columns: 80}}, Sizes: sizes}
	var stdout strings.Builder
	if _, err := c.Exec(t.Context(), protocol.Ref{Reference: "db1"}, in, nil, &stdout, io.Discard); err != nil || stdout.String() != "{xterm {24 80}} {50 120}\n" {
		t.Errorf("%q, %v", stdout.String(), err)
	}
	in.Terminal.Type = "x\ny"
	if _, err := c.Exec(t.Context(), protocol.Ref{Reference: "db1"}, in, nil, io.Discard, io.Discard); protocol.CodeOf(err) != protocol.ErrInvalid {
		t.Error(err)
	}
}

func TestExecEndsWithItsCaller(t *testing.T) {
	c := serve(t, protocoltest.New().As("ann", true))
	if _, err := c.Request(t.Context(), protocol.RequestInput{Reference: "db1", Release: "mariadb"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.Exec(ctx, protocol.Ref{Reference: "db1"}, protocol.ExecInput{Argv: []string{"sleep"}}, nil, io.Discard, io.Discard)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	// The cleanup of serve waits for the program's end.
}
