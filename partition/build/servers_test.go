package build_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"

	"github.com/slapmesh/slapmesh/partition/build/buildtest"
	"github.com/slapmesh/slapmesh/partition/catalog"
	"github.com/slapmesh/slapmesh/partition/release"
)

// A use is a client's: it writes, and it reads what was written before.
type use func(t *testing.T, at string, write bool) error

// TestServers builds every release of the catalogue, runs it, and uses it
// through its published URL, also after a stop and with changed parameters.
func TestServers(t *testing.T) {
	b := buildtest.Open(t)
	tests := []struct {
		name    string
		address string
		other   string // must not answer there
		use     use
		first   map[string]string
		change  map[string]string
	}{
		{"memcached", "127.64.200.1", "127.64.201.1:11211", useMemcached, map[string]string{"keep": "true"}, map[string]string{"keep": "true", "connections": "99"}},
		{"redis", "127.64.200.2", "127.64.201.2:6379", useRedis, nil, map[string]string{"memory": "64MiB", "eviction": "allkeys-lru"}},
		{"mariadb", "127.64.200.3", "127.64.201.3:3306", useMariaDB, nil, map[string]string{"memory": "16MiB", "connections": "20"}},
		{"postgresql", "127.64.200.4", "127.64.201.4:5432", usePostgreSQL, nil, map[string]string{"memory": "16MiB", "connections": "20"}},
		{"nginx", "127.64.200.7", "127.64.201.7:8080", useWeb, map[string]string{"page": "<p>hello"}, map[string]string{"page": "<p>hello again", "log": "true"}},
		{"apache", "127.64.200.8", "127.64.201.8:8080", useWeb, map[string]string{"page": "<p>hello"}, map[string]string{"page": "<p>hello again", "log": "true"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			item, ok := catalog.Lookup(test.name)
			if !ok {
				t.Fatal("not in the catalogue")
			}
			begun := time.Now()
			tree, err := b.Build(t.Context(), item.Release.Sources, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("built of %d packages in %v", len(tree.Packages), time.Since(begun).Round(time.Millisecond))
			r := newRunner(t, tree, test.address)
			d := r.desired(item.Release, test.first)
			r.start(d)
			before := r.counts(d)
			r.must(test.use(t, d.Published["url"], true))
			for name, n := range r.counts(d) {
				if n <= before[name] || n > before[name]+100 {
					t.Errorf("metric %s went from %d to %d", name, before[name], n)
				}
			}
			if err := dial(t.Context(), test.other); err == nil {
				t.Errorf("answers at %s, which is not its address", test.other)
			}
			if password := d.Published["password"]; password != "" {
				if test.use(t, strings.ReplaceAll(d.Published["url"], password, "wrong"), false) == nil {
					t.Error("a wrong password was accepted")
				}
			}
			r.stop(d)
			changed := r.desired(item.Release, test.change)
			r.start(changed)
			r.must(test.use(t, changed.Published["url"], false))
			r.stop(changed)
		})
	}
}

// TestFronts puts nginx and HAProxy before a web server, and asks through
// them.
func TestFronts(t *testing.T) {
	b := buildtest.Open(t)
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "hello from behind") }))
	defer behind.Close()
	host := strings.TrimPrefix(behind.URL, "http://")
	for _, test := range []struct {
		name, address string
		parameters    string // JSON
	}{
		{"nginx", "127.64.200.9", `{"backend": "http://` + host + `"}`},
		{"haproxy", "127.64.200.10", `{"servers": ["127.64.201.10:1", "` + host + `"], "check": "/up?now=1", "log": true}`},
		{"haproxy", "127.64.200.11", `{"servers": ["` + host + `"], "mode": "tcp", "balance": "leastconn"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			item, ok := catalog.Lookup(test.name)
			if !ok {
				t.Fatal("not in the catalogue")
			}
			tree, err := b.Build(t.Context(), item.Release.Sources, nil)
			if err != nil {
				t.Fatal(err)
			}
			r := newRunner(t, tree, test.address)
			in := release.Input{}
			r.must(json.Unmarshal([]byte(test.parameters), &in.Parameters))
			d := r.evaluate(item.Release, in)
			r.start(d)
			before := r.counts(d)["requests"]
			at := strings.Replace(d.Published["url"], "tcp://", "http://", 1)
			for range 3 {
				got, err := get(t.Context(), at)
				r.must(want(got, "hello from behind", err))
			}
			if after := r.counts(d)["requests"]; after < before+3 || after > before+20 {
				t.Errorf("it counted %d requests before three, and %d after", before, after)
			}
			r.stop(d)
		})
	}
}

// get returns the body of an answer that is good.
func get(ctx context.Context, at string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, http.NoBody)
	if err != nil {
		return "", err
	}
	req.Close = true // who stops a server should not wait for us
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode >= 400 {
		err = fmt.Errorf("%s: %s: %.500s", at, resp.Status, body)
	}
	return string(body), err
}

func useWeb(t *testing.T, at string, write bool) error {
	t.Helper()
	if _, err := get(t.Context(), at+"nothing"); err == nil {
		return errors.New("there is a page that nobody made")
	}
	got, err := get(t.Context(), at)
	if write {
		return want(got, "<p>hello", err)
	}
	return want(got, "<p>hello again", err)
}

// talk sends lines and returns the last line of the answer to them.
func talk(ctx context.Context, address string, lines ...string) (string, error) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	answer, reader := "", bufio.NewReader(conn)
	for _, line := range lines {
		if _, err := fmt.Fprint(conn, line, "\r\n"); err != nil {
			return "", err
		}
		if answer, err = reader.ReadString('\n'); err != nil {
			return "", err
		}
		if strings.HasPrefix(answer, "VALUE") || strings.HasPrefix(answer, "$") {
			if answer, err = reader.ReadString('\n'); err != nil {
				return "", err
			}
		}
	}
	return strings.TrimSpace(answer), nil
}

func want(got, want string, err error) error {
	if err == nil && got != want {
		err = fmt.Errorf("got %q, want %q", got, want)
	}
	return err
}

func useMemcached(t *testing.T, at string, write bool) error {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		return err
	}
	if write {
		got, err := talk(t.Context(), u.Host, "set key 0 0 5\r\nhello")
		return want(got, "STORED", err)
	}
	got, err := talk(t.Context(), u.Host, "get key")
	return want(got, "hello", err)
}

func useRedis(t *testing.T, at string, write bool) error {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		return err
	}
	password, _ := u.User.Password()
	if write {
		got, err := talk(t.Context(), u.Host, "AUTH "+password, "SET key hello")
		return want(got, "+OK", err)
	}
	got, err := talk(t.Context(), u.Host, "AUTH "+password, "GET key")
	return want(got, "hello", err)
}

func useMariaDB(t *testing.T, at string, write bool) error {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		return err
	}
	config := mysql.NewConfig()
	config.Net, config.Addr, config.DBName, config.User = "tcp", u.Host, strings.TrimPrefix(u.Path, "/"), u.User.Username()
	config.Passwd, _ = u.User.Password()
	db, err := sql.Open("mysql", config.FormatDSN())
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if write {
		_, err := db.ExecContext(t.Context(), "CREATE TABLE notes (text VARCHAR(100))")
		if err == nil {
			_, err = db.ExecContext(t.Context(), "INSERT INTO notes VALUES ('hello — wörld')")
		}
		return err
	}
	var text string
	err = db.QueryRowContext(t.Context(), "SELECT text FROM notes").Scan(&text)
	return want(text, "hello — wörld", err)
}

func usePostgreSQL(t *testing.T, at string, write bool) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), at)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if write {
		_, err := conn.Exec(t.Context(), "CREATE TABLE notes (text VARCHAR(100))")
		if err == nil {
			_, err = conn.Exec(t.Context(), "INSERT INTO notes VALUES ('hello — wörld')")
		}
		return err
	}
	var text string
	err = conn.QueryRow(t.Context(), "SELECT text FROM notes").Scan(&text)
	return want(text, "hello — wörld", err)
}
