package command_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/cmd/slapd/command"
	"github.com/slapmesh/slapmesh/protocol"
)

// verbs are all commands, as the help lists them.
func verbs(t *testing.T, of ...string) []string {
	t.Helper()
	var out, complaint bytes.Buffer
	if code := command.Main(t.Context(), config(nil, &out, &complaint), append(of, "--help")); code != 0 {
		t.Fatalf("%v --help: %d %s", of, code, &complaint)
	}
	_, list, _ := strings.Cut(out.String(), "\ncommands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	var names []string
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(line, "  ") {
			names = append(names, f[0])
		}
	}
	return names
}

// Every command says what it is for, how it is called and how it looks, within
// the width of a terminal.
func TestHelp(t *testing.T) {
	all := verbs(t)
	if len(all) < 20 {
		t.Fatalf("only %v", all)
	}
	for _, name := range all {
		paths := [][]string{{name}}
		for _, sub := range verbs(t, name) {
			paths = append(paths, []string{name, sub})
		}
		for _, path := range paths {
			var out, complaint bytes.Buffer
			if code := command.Main(t.Context(), config(nil, &out, &complaint), append(path, "--help")); code != 0 || complaint.Len() > 0 {
				t.Errorf("%v: %d %s", path, code, &complaint)
			}
			text := out.String()
			for _, part := range []string{"\nusage: slapd " + strings.Join(path, " "), "\nexamples:\n  slapd ", "--json", "--dir FOLDER"} {
				if !strings.Contains(text, part) {
					t.Errorf("%v: no %q in its help", path, part)
				}
			}
			for line := range strings.Lines(text) {
				if len([]rune(line)) > 140 {
					t.Errorf("%v: %d characters: %s", path, len(line), line)
				}
			}
		}
	}
}

// TestLargeParameters: a parameter of 10 MB is refused before anybody is asked.
func TestLargeParameters(t *testing.T) {
	var out, complaint bytes.Buffer
	in := strings.NewReader(`{"x": "` + strings.Repeat("x", 10<<20) + `"}`)
	code := command.Main(t.Context(), config(in, &out, &complaint), []string{"request", "mariadb", "db1", "--params-file", "-"})
	if want := "slapd request: --params-file -: more than 65536 bytes\n"; code != 1 || complaint.String() != want {
		t.Errorf("code %d, %q, want %q", code, complaint.String(), want)
	}
}

// An error that repeats the verb is printed with one of both.
func TestSaysThingsOnce(t *testing.T) {
	for _, tc := range []struct {
		args []string
		err  error
		want string
	}{
		{[]string{"join", "h"}, errors.New("join h:7527: refused: token t1 is used up"), "slapd join: h:7527: refused: token t1 is used up"},
		{[]string{"join", "h"}, errors.New("join: a token is needed"), "slapd join: a token is needed"},
		{[]string{"join", "h"}, errors.New("join format 9 is not known: upgrade"), "slapd join: join format 9 is not known: upgrade"},
		{[]string{"join", "h"}, errors.New("joining: no"), "slapd join: joining: no"},
		{[]string{"run"}, errors.New("state folder x: in use"), "slapd run: state folder x: in use"},
		{[]string{"leave"}, protocol.Errorf(protocol.ErrConflict, "leave: instances are placed here"), "slapd leave: instances are placed here"},
		{[]string{"leave"}, protocol.Errorf(protocol.ErrForbidden, "leave: leave: no"), "slapd leave: leave: no"},
		{[]string{"stop", "x"}, protocol.Errorf(protocol.ErrConflict, "instance x: it is being destroyed"), "slapd stop: instance x: it is being destroyed"},
		{[]string{"exec", "x", "nope"}, protocol.Errorf(protocol.ErrNotFound, "exec nope: no such program"), "slapd exec: nope: no such program"},
		{[]string{"members", "role", "a", "user"}, protocol.Errorf(protocol.ErrConflict, "role of a: it alone may hold the ledger"), "slapd members role: a: it alone may hold the ledger"},
		{[]string{"members", "remove", "a"}, protocol.Errorf(protocol.ErrForbidden, "remove a: only an operator removes peers"), "slapd members remove: a: only an operator removes peers"},
		{[]string{"token", "create"}, protocol.Errorf(protocol.ErrForbidden, "token: only an operator makes tokens"), "slapd token create: only an operator makes tokens"},
		{[]string{"token", "list"}, protocol.Errorf(protocol.ErrUnauthorized, "token: not known to this peer"), "slapd token list: token: not known to this peer"},
	} {
		if got := command.Complaint(tc.args, tc.err); got != tc.want+"\n" {
			t.Errorf("%v: %q, want %q", tc.args, got, tc.want)
		}
	}
}

// FuzzMain runs command lines that ask nobody: whatever is typed ends with one
// of the codes, and an error is one line.
func FuzzMain(f *testing.F) {
	for _, seed := range []string{
		"", "--help", "status\x00--json", "--dir\x00/nowhere\x00list", "request\x00a\x00b\x00--wait\x00--param\x00x=1,2",
		"exec\x00db\x00--\x00ls\x00-l", "token\x00create\x00--uses\x00-1", "--\x00--", "-", "--=\x00x", "logs\x00-f\x00x", "---x",
		"members\x00--\x00role", "show\x00--account", "version\x00--json=maybe", "request\x00--filter", "--wait=1\x00stop",
		"pay\x00bob\x001\x00--id\x00x", "pay\x00bob\x00-1", "price\x00set\x00--from\x00+1d\x00--core-hour\x001", "limit\x00a\x00none", "terms\x00--grace\x00d", "review\x00a\x00x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var out, complaint bytes.Buffer
		cfg := config(strings.NewReader(""), &out, &complaint)
		dir := t.TempDir()
		cfg.Env = func(name string) string {
			if name == "SLAPD_DIR" {
				return dir
			}
			return ""
		}
		cfg.Peer = nothing{}
		args := strings.Split(text, "\x00")
		for _, a := range args {
			if strings.Contains(a, "peer") || strings.Contains(a, "file") {
				t.Skip("would ask somebody, or read something")
			}
		}
		code := command.Main(t.Context(), cfg, args)
		lines := strings.Count(complaint.String(), "\n")
		switch {
		case code == 0 && lines == 0, code == 1 && lines == 1, code == 2 && lines == 2:
		default:
			t.Errorf("%q: code %d, %q", args, code, &complaint)
		}
	})
}

// nothing is a Peer that does nothing.
type nothing struct{}

func (nothing) Init(context.Context, command.InitOptions) error { return nil }
func (nothing) Join(context.Context, command.JoinOptions) error { return nil }
func (nothing) Run(context.Context, command.RunOptions) error   { return nil }
func (nothing) Demo(context.Context, command.DemoOptions) error { return nil }
