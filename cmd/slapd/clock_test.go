package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/slapmesh/slapmesh/protocol"
)

// Who joins with a clock that is off by a day is told by how much and what to
// do, in one line, and the token is still good for when that is done.
func TestClockOffByADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, here)
	a := w.mesh("0", "a")[0]
	token := a.token(protocol.TokenInput{})
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for wrong, how := range map[string]string{"24h": "ahead of", "-24h": "behind"} {
		cmd := w.command("join", a.status.Listen, "--token", token, "--dir", filepath.Join(w.dir, "b"),
			"--name", "b", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0")
		cmd.Path = binary
		cmd.Env = append(cmd.Env, wrongClock+"="+wrong)
		r := w.finish(cmd)
		want := regexp.MustCompile(`\nslapd join: 127\.0\.0\.1:\d+: refused: your clock is (24h0m|23h59m) ` + how +
			` the mesh: set it \(timedatectl set-ntp true, or without Internet date -u -s '[-0-9: ]+'\), then join again\n$`)
		if r.code != 1 || r.out != "" || !want.MatchString(r.complaint) {
			t.Errorf("wrong by %s: exit code %d, %q, %q", wrong, r.code, r.out, r.complaint)
		}
	}
	w.start("b", "join", a.status.Listen, "--token", token).up()
	a.sees(2)
}
