package main_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/protocol"
)

// A computer that is removed from the mesh ends what runs there, keeps the
// data, says what happened, and ends itself: at once, or when it runs again.
func TestRemovedComputer(t *testing.T) {
	t.Parallel()
	downloaded(t, "memcached")
	w := newWorld(t, newNetwork(t))
	a := w.start("a", "init", "--mesh", "home", "--partitions", "0").up()
	token := a.token(protocol.TokenInput{Role: protocol.RoleComputer, Uses: 2})
	b := w.start("b", "join", a.status.Listen, "--token", token, "--partitions", "2").up()
	c := w.start("c", "join", a.status.Listen, "--token", token, "--partitions", "2").up()
	w.until("all offer partitions", func() error {
		known, err := a.Computers(t.Context())
		if err == nil && len(known) != 3 {
			err = fmt.Errorf("%d computers", len(known))
		}
		return err
	})
	for _, p := range []*peer{b, c} {
		a.request(protocol.RequestInput{Reference: "on-" + p.name, Release: "memcached", Filter: map[string]string{"computer": p.name}})
		p.only("memcached")
	}

	c.kill()
	for _, p := range []*peer{b, c} {
		if r := a.slapd("members", "remove", p.name); r.code != 0 {
			t.Fatalf("remove %s: %s", p.name, r.complaint)
		}
	}
	b.wasRemoved("join")
	c.only("memcached") // it has not heard of it
	c = w.start("c", "run")
	c.wasRemoved("run")
	for _, p := range []*peer{b, c} {
		r := p.slapd("run")
		if want := "slapd run: this computer was removed from mesh home (peer "; r.code != 1 || !strings.HasPrefix(r.complaint, want) || strings.Count(r.complaint, "\n") != 1 {
			t.Errorf("run %s again: exit code %d: %s", p.name, r.code, r.complaint)
		}
	}
	if s, err := a.Status(t.Context()); err != nil || s.Members != 1 || !s.Quorum {
		t.Errorf("the mesh: %+v, %v", s, err)
	}
	r := w.slapd("join", a.status.Listen, "--token", a.token(protocol.TokenInput{}), "--dir", c.dir)
	if r.code != 1 || !strings.Contains(r.complaint, "removed from the mesh for good") {
		t.Errorf("join again: exit code %d: %s", r.code, r.complaint)
	}
}

// wasRemoved waits until the peer has ended because it was removed, and looks
// at what it left.
func (p *peer) wasRemoved(verb string) {
	p.w.Helper()
	if code := p.ended(); code != 1 {
		p.w.Errorf("%s ended with exit code %d", p.name, code)
	}
	words := p.lastWords(100)
	for text, count := range map[string]int{
		"level=ERROR": 1,
		"level=ERROR msg=\"this computer was removed from the mesh: its instances are ended and their data is kept; ": 1,
		"slapd " + verb + ": this computer was removed from mesh home (peer ":                                         1,
	} {
		if n := strings.Count(words, text); n != count {
			p.w.Errorf("%s says %q %d times:\n%s", p.name, text, n, words)
		}
	}
	p.w.until(p.name+" has left nothing running", func() error { // the walls fall just after who was inside
		if left := processesOf(p.dir); len(left) > 0 {
			return fmt.Errorf("processes %v", left)
		}
		return nil
	})
	_, err := os.Stat(filepath.Join(p.dir, "partitions", "p0"))
	if err := errors.Join(err, p.none("memcached")); err != nil {
		p.w.Error(fmt.Errorf("%s: %w", p.name, err))
	}
}
