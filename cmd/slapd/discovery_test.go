package main_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/protocol"
)

// On another host of the local network a token is enough to join: no address
// is named. Without a token a private mesh is silent and an open one says what
// to type; a mesh that does not want to be found is not.
func TestJoinWithoutAddress(t *testing.T) {
	t.Parallel()
	left, right := twoHosts(t)
	w := newWorld(t, left)
	a := w.start("a", "init", "--listen", "10.7.0.1:7527", "--mesh", "attic").up()
	token := a.token(protocol.TokenInput{Uses: 2})
	there := func(args ...string) result {
		outside := *w
		outside.net = right
		return outside.slapd(append([]string{"join", "--listen", "10.7.0.2:0", "--api", "127.0.0.1:0", "--dir", w.dir + "/new"}, args...)...)
	}
	r := there("--check")
	if r.code != 1 || !strings.Contains(r.complaint, "no open mesh answers on the local network") || strings.Contains(r.complaint, "attic") {
		t.Errorf("without a token: %+v", r)
	}
	if r = there("--check", "--token", token); r.code != 0 || !strings.Contains(r.complaint, "10.7.0.1:7527") {
		t.Errorf("looking with a token: %+v", r)
	}
	b := w.startIn(right, "b", "join", "--listen", "10.7.0.2:7527", "--token", token).up()
	b.sees(2)

	a.stop()
	b.stop()
	w.start("a", "run", "--listen", "10.7.0.1:7527", "--no-discovery")
	w.startIn(right, "b", "run", "--listen", "10.7.0.2:7527", "--no-discovery").up()
	if r = there("--check", "--token", token); r.code != 1 || !strings.Contains(r.complaint, "no peer of the token's mesh answers on the local network") {
		t.Errorf("a mesh that does not want to be found: %+v", r)
	}

	open := w.start("open", "init", "--open", "--listen", "10.7.0.1:7530", "--mesh", "market").up()
	w.until("an open mesh says what to type", func() error {
		if r = there("--check"); !strings.Contains(r.complaint, `open mesh "market" answers`) || !strings.Contains(r.complaint, "slapd join '10.7.0.1:7530#") {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	open.stop()
}
