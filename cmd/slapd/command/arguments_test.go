package command

import (
	"slices"
	"strings"
	"testing"
)

func TestArrange(t *testing.T) {
	for _, tc := range []struct{ typed, want string }{
		{"status", "slapd status --"},
		{"--json status", "slapd status --json --"},
		{"status --json", "slapd status --json --"},
		{"--dir /x --json list --all", "slapd list --dir=/x --json --all --"},
		{"request a b --type t --param x=1,2", "slapd request --type=t --param=x=1,2 -- a b"},
		{"request --type t a --param=x=1 b --json", "slapd request --type=t --param=x=1 --json -- a b"},
		{"request a b --wait", "slapd request --wait=2m -- a b"},
		{"request --wait a b", "slapd request --wait=2m -- a b"},
		{"request --wait=9m a b", "slapd request --wait=9m -- a b"},
		{"request --param --json a b", "slapd request --param=--json -- a b"},
		{"exec db1 -- ls -l --json", "slapd exec -- db1 ls -l --json"},
		{"exec --json db1 -- -- x", "slapd exec --json -- db1 -- x"},
		{"logs -f db1 --tail -1", "slapd logs -f --tail=-1 -- db1"},
		{"show token", "slapd show -- token"},
		{"token create --uses 3", "slapd token create --uses=3 --"},
		{"token --json create", "slapd token create --json --"},
		{"token bogus create", "slapd token -- bogus create"},
		{"members", "slapd members --"},
		{"members role p voter", "slapd members role -- p voter"},
		{"price --json", "slapd price --json --"},
		{"price set db --core-hour 0.02 --json", "slapd price set --core-hour=0.02 --json -- db"},
		{"pay --id x bob 1", "slapd pay --id=x -- bob 1"},
		{"request a -", "slapd request -- a -"},
		{"--version", "slapd version --"},
	} {
		l, err := arrange(strings.Fields(tc.typed))
		if err != nil {
			t.Errorf("%s: %v", tc.typed, err)
			continue
		}
		if got := strings.Join(l.args, " "); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.typed, got, tc.want)
		}
	}
}

// FuzzArrange: flags may stand anywhere, and nothing that was typed is lost.
func FuzzArrange(f *testing.F) {
	f.Add("request\x00a\x00b\x00--wait\x00--param\x00x", 2)
	f.Add("--json\x00exec\x00db\x00--\x00ls\x00-l", 0)
	f.Add("logs\x00-f\x00--tail\x00-1\x00x", 1)
	f.Fuzz(func(t *testing.T, text string, at int) {
		args := strings.Split(text, "\x00")
		l, err := arrange(args)
		if err != nil || l.help {
			return
		}
		end := slices.Index(args, "--")
		if end < 0 {
			end = len(args)
		}
		for _, a := range args[min(end+1, len(args)):] {
			if !slices.Contains(l.args[slices.Index(l.args, "--")+1:], a) {
				t.Errorf("%q: %q is lost in %q", args, a, l.args)
			}
		}
		if at < 0 || at > end || (at > 0 && at <= end && takes(args[at-1])) {
			return
		}
		moved, err := arrange(slices.Insert(slices.Clone(args), at, "--json"))
		if err != nil {
			return // "--json" became the value of a flag, which is then missing elsewhere
		}
		plain := func(in []string) []string {
			return slices.DeleteFunc(slices.Clone(in), func(s string) bool { return s == "--json" })
		}
		if got, want := plain(moved.args), plain(l.args); !slices.Equal(got, want) && l.verb.path() == moved.verb.path() && !slices.Contains(args, "--json") {
			t.Errorf("%q with --json at %d: %q, without %q", args, at, got, want)
		}
	})
}

// takes reports whether any verb has a flag of that name with a value.
func takes(word string) bool { return strings.HasPrefix(word, "-") }
