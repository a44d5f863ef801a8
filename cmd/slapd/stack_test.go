package main_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/partition/build/buildtest"
	"github.com/slapmesh/slapmesh/partition/catalog"
	"github.com/slapmesh/slapmesh/protocol"
)

// A WordPress on one host requests its own MariaDB, which is put on the other:
// it says what it waits for, then it is used through its URL; what is written
// is in the database; and the end of the root is the end of both.
func TestStack(t *testing.T) {
	t.Parallel()
	downloaded(t, "wordpress", "mariadb")
	left, right := twoHosts(t)
	w := newWorld(t, left)
	a := w.start("a", "init", "--listen", "10.7.0.1:7527", "--partitions", "1").up()
	b := w.startIn(right, "b", "join", "10.7.0.1:7527", "--listen", "10.7.0.2:7527", "--partitions", "1", "--token", a.token(protocol.TokenInput{})).up()
	a.sees(2)
	if r := a.slapd("request", "wordpress", "blog", "--param", "title=Ann's “blog”", "--filter", "computer="+a.status.PeerID, "--wait=8m"); r.code != 0 {
		t.Fatalf("%+v\n%s", r, a.slapd("show", "blog", "--tree").out)
	}
	blog := a.settled("blog")
	db := a.settled("blog/db")
	if db.ComputerName != "b" || blog.ComputerName != "a" {
		t.Fatalf("blog is on %s, its database on %s", blog.ComputerName, db.ComputerName)
	}
	w.until("the other host has its listener", func() error {
		_, err := right.get(t.Context(), blog.Connection["url"], nil)
		return err
	})
	for host, n := range map[string]*network{"its own host": left, "the other": right} {
		page, err := n.get(t.Context(), blog.Connection["url"], nil)
		if err != nil || !strings.Contains(page, "<title>Ann&#039;s “blog”") {
			t.Errorf("from %s: %v: %.500s", host, err, page)
		}
	}
	login, err := url.JoinPath(blog.Connection["url"], "wp-login.php")
	if err != nil {
		t.Fatal(err)
	}
	page, err := right.get(t.Context(), login, url.Values{"log": {"admin"}, "pwd": {"wrong"}})
	if err != nil || !strings.Contains(page, "is incorrect") {
		t.Errorf("a wrong password: %v: %.500s", err, page)
	}
	if _, err = right.get(t.Context(), login, url.Values{"log": {blog.Connection["user"]}, "pwd": {blog.Connection["password"]}}); !errors.Is(err, errRedirected) {
		t.Errorf("the right password: %v", err)
	}
	if r := w.slapd("exec", "--dir", b.dir, "blog/db", "--", "mariadb", "--defaults-file=/data/root.cnf", "-e", "SELECT user_login FROM wordpress.wp_users"); r.code != 0 || !strings.Contains(r.out, "admin") {
		t.Errorf("what the database holds: %+v", r)
	}

	if r := a.slapd("destroy", "blog", "--wait=1m"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	w.until("its database is gone as well", func() error {
		if left := a.slapd("list", "--json").out; strings.TrimSpace(left) != "[]" {
			return errors.New(left)
		}
		return nil
	})
}

// downloaded makes sure that releases of the catalogue can be built on hosts
// that reach nothing but one another.
func downloaded(t *testing.T, names ...string) {
	t.Helper()
	b := buildtest.Open(t)
	for _, name := range names {
		item, ok := catalog.Lookup(name)
		if !ok {
			t.Fatalf("%s is not in the catalogue", name)
		}
		if _, err := b.Build(t.Context(), item.Release.Sources, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// errRedirected says that a page sends its reader elsewhere.
var errRedirected = errors.New("redirected")

// get asks for a page as a browser on a host does, or posts a form.
func (n *network) get(ctx context.Context, at string, form url.Values) (string, error) {
	u, err := url.Parse(at)
	if err != nil {
		return "", err
	}
	conn, err := n.dial(u.Host)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, http.NoBody)
	if form != nil {
		req, err = http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if err != nil {
		return "", err
	}
	req.Header.Set("Cookie", "wordpress_test_cookie=WP+Cookie+check")
	req.Close = true
	if err := req.Write(conn); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return "", err
	case resp.StatusCode >= 400:
		return "", fmt.Errorf("%s: %s: %.300s", at, resp.Status, body)
	case resp.StatusCode >= 300:
		return "", errRedirected
	}
	return string(body), nil
}
