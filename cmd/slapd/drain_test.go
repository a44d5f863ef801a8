package main_test

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/protocol"
)

// stayingProfile does not say what of its data matters.
const stayingProfile = `
release(name = "stays", version = "1", sources = [debian("memcached")])

def instance(i):
    i.service("memcached", ["memcached", "-l", i.ip, "-P", i.dir("data") + "/pid"], ports = {"memcached": 11211})
`

// On two hosts: a computer is drained, and what runs there goes on at the other
// one, with what was written and with the same passwords. What keeps nothing
// moves as well, and what cannot move stays and says why.
func TestDrainWithData(t *testing.T) {
	t.Parallel()
	downloaded(t, "mariadb", "memcached", "redis")
	left, right := twoHosts(t)
	w := newWorld(t, left)
	a := w.start("a", "init", "--listen", "10.7.0.1:7527").up()
	b := w.startIn(right, "b", "join", "10.7.0.1:7527", "--listen", "10.7.0.2:7527", "--token", a.token(protocol.TokenInput{})).up()
	stays := filepath.Join(t.TempDir(), "stays")
	if err := errors.Join(os.Mkdir(stays, 0o700), os.WriteFile(stays+"/release.star", []byte(stayingProfile), 0o600)); err != nil {
		t.Fatal(err)
	}
	if r := a.slapd("computer", "drain", "b"); r.code != 0 { // so that all begin at a
		t.Fatalf("%+v", r)
	}
	for _, release := range []string{"mariadb", "redis", "memcached", stays} {
		if r := a.slapd("request", release, filepath.Base(release)+"1", "--wait=5m"); r.code != 0 {
			t.Fatalf("%s: %+v", release, r)
		}
	}
	if r := a.slapd("computer", "undrain", "b"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	was := a.settled("mariadb1")
	w.until("a row", func() error {
		return sqlAt(t.Context(), left, was.Connection["url"], "", "CREATE TABLE IF NOT EXISTS notes AS SELECT 'kept' AS note")
	})
	if got := redisAt(t, left, a.settled("redis1").Connection["url"], "SET", "note", "kept"); got != "+OK" {
		t.Fatalf("redis says %q", got)
	}

	r := a.slapd("computer", "drain", "--wait=5m")
	if r.code != 0 {
		t.Fatalf("%+v", r)
	}
	if !strings.Contains(r.out, "stays1 of operator stays: move stays1: its data cannot move: its profile marks no folder") || strings.Count(r.out, "\n") != 2 {
		t.Errorf("drained:\n%s", r.out)
	}
	now := a.settled("mariadb1")
	if now.ComputerName != "b" || now.Connection["password"] != was.Connection["password"] || now.Connection["url"] == was.Connection["url"] {
		t.Errorf("was %+v, is %+v", was, now)
	}
	for _, n := range []*network{left, right} {
		w.until("the row", func() error {
			return sqlAt(t.Context(), n, now.Connection["url"], "", "SELECT note FROM notes WHERE note = 'kept'")
		})
	}
	if got := redisAt(t, right, b.settled("redis1").Connection["url"], "GET", "note"); got != "kept" {
		t.Errorf("redis says %q", got)
	}
	if i := b.settled("memcached1"); i.ComputerName != "b" {
		t.Errorf("memcached is on %s", i.ComputerName)
	}
	w.until("the old copies are gone", func() error {
		dirs, err := filepath.Glob(filepath.Join(a.dir, "partitions", "*"))
		if len(dirs) != 1 || err != nil {
			return fmt.Errorf("left: %v, %w", dirs, err)
		}
		return nil
	})
	for _, name := range []string{"mariadb1", "redis1", "memcached1", "stays1"} {
		a.set(name, protocol.RequestDestroyed)
	}
}

// redisAt has a client on a host do something with a Redis server, and returns
// the last line of the answer.
func redisAt(t *testing.T, n *network, at string, words ...string) string {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := n.dial(u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	password, _ := u.User.Password()
	if _, err := fmt.Fprintf(conn, "AUTH %s\r\n%s\r\nQUIT\r\n", password, strings.Join(words, " ")); err != nil {
		t.Fatal(err)
	}
	var lines []string
	buf := make([]byte, 4096)
	var said strings.Builder
	for {
		k, err := conn.Read(buf)
		said.Write(buf[:k])
		if err != nil {
			break
		}
	}
	for line := range strings.SplitSeq(strings.TrimSpace(said.String()), "\r\n") {
		lines = append(lines, line)
	}
	if len(lines) < 3 {
		return said.String()
	}
	return lines[len(lines)-2] // before the OK of QUIT
}
