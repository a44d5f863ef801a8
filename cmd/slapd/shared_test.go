package main_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/slapmesh/slapmesh/protocol"
)

// On two hosts, two accounts each get a database of their own in one server of
// a third, use it by the URL that it published, and see nothing of the other's.
// One is destroyed, the server is stopped and started: the other still has
// what was written.
func TestSharedDatabases(t *testing.T) {
	t.Parallel()
	downloaded(t, "mariadb", "redis")
	left, right := twoHosts(t)
	w := newWorld(t, left)
	a := w.start("a", "init", "--listen", "10.7.0.1:7527").up()
	join := func(name, port string) *peer {
		return w.startIn(right, name, "join", "10.7.0.1:7527", "--listen", "10.7.0.2:"+port, "--partitions", "0",
			"--token", a.token(protocol.TokenInput{Account: name, Role: protocol.RoleComputer})).up()
	}
	bob, cy := join("bob", "7527"), join("cy", "7529")
	if r := a.slapd("request", "mariadb", "server", "--scope", "public", "--wait=5m"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	if r := bob.slapd("request", "redis", "mine", "--shared"); r.code == 0 || !strings.Contains(r.complaint, "serves no shared instances") {
		t.Errorf("a release that serves none: %+v", r)
	}
	if r := bob.slapd("request", "mariadb", "mine", "--shared", "--param", "connections=0"); r.code == 0 {
		t.Errorf("wrong parameters: %+v", r)
	}
	urls := make(map[*peer]string)
	for _, p := range []*peer{bob, cy} {
		if r := p.slapd("request", "mariadb", "mine", "--shared", "--param", "connections=5", "--wait=2m"); r.code != 0 {
			t.Fatalf("%s: %+v", p.name, r)
		}
		i, err := p.Instance(t.Context(), protocol.Ref{Reference: "mine"})
		if err != nil || i.ComputerName != "a" || !i.Shared {
			t.Fatalf("%+v: %v", i, err)
		}
		urls[p] = i.Connection["url"]
		w.until(p.name+" writes", func() error {
			return sqlAt(t.Context(), right, urls[p], "", "CREATE TABLE IF NOT EXISTS notes AS SELECT 1")
		})
	}
	if urls[bob] == urls[cy] {
		t.Fatalf("both have %s", urls[bob])
	}
	other, err := url.Parse(urls[cy])
	if err != nil {
		t.Fatal(err)
	}
	if err := sqlAt(t.Context(), right, urls[bob], strings.TrimPrefix(other.Path, "/"), "SELECT 1"); err == nil {
		t.Error("bob uses cy's database")
	}

	bob.set("mine", protocol.RequestDestroyed)
	w.until("bob's user is gone", func() error {
		err := sqlAt(t.Context(), left, urls[bob], "", "SELECT 1")
		if no := (*mysql.MySQLError)(nil); errors.As(err, &no) {
			return nil
		}
		return fmt.Errorf("the server says %w", err)
	})
	a.set("server", protocol.RequestStopped)
	a.set("server", protocol.RequestStarted)
	cy.settled("mine")
	w.until("cy reads", func() error { return sqlAt(t.Context(), right, urls[cy], "", "SELECT * FROM notes") })
	a.set("server", protocol.RequestDestroyed)
}

// sqlAt has a client on a host do something with a database.
func sqlAt(ctx context.Context, n *network, at, database, statement string) error {
	u, err := url.Parse(at)
	if err != nil {
		return err
	}
	config := mysql.NewConfig()
	config.Net, config.Addr, config.DBName, config.User = "tcp", u.Host, strings.TrimPrefix(u.Path, "/"), u.User.Username()
	config.Passwd, _ = u.User.Password()
	config.DialFunc = func(_ context.Context, _, address string) (net.Conn, error) { return n.dial(address) }
	if database != "" {
		config.DBName = database
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(ctx, statement)
	return err
}
