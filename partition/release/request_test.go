package release_test

import (
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/partition/release"
)

// stack requests a database, then, when it has that, serves.
const stack = `
def instance(i):
    db = i.request("mariadb@10.11", "db", params = {"database": i.params.p, "connections": 7, "hosts": ["a"]}, filter = {"country": "FR"})
    cache = i.request("memcached", "cache", type = "big", shared = True)
    if not db or not cache.url:
        return
    i.service("web", ["web", db.url, cache.url])
    i.publish(url = db.url, name = db.name)
`

func requesting(t *testing.T, body string) *release.Release {
	t.Helper()
	head := `release(name = "x", version = "1", sources = [debian("bash")], parameters = {"p": string("P", default = "d")})` + "\n"
	b, err := release.NewBundle(map[string][]byte{release.Main: []byte(head + body)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := release.Load(b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRequests holds that a profile says what it needs before it has it, and
// goes on once that has published.
func TestRequests(t *testing.T) {
	r := requesting(t, stack)
	in := input(nil)
	d, err := r.Evaluate(in)
	if err != nil || len(d.Requests) != 2 || len(d.Services) != 0 {
		t.Fatalf("%+v: %v", d, err)
	}
	db, cache := d.Requests[0], d.Requests[1]
	if db.Release != "mariadb@10.11" || string(db.Parameters["connections"]) != "7" || string(db.Parameters["database"]) != `"d"` ||
		string(db.Parameters["hosts"]) != `["a"]` || db.Filter["country"] != "FR" || db.Shared {
		t.Errorf("%+v", db)
	}
	if cache.Type != "big" || !cache.Shared || len(cache.Parameters) != 0 {
		t.Errorf("%+v", cache)
	}
	in.Children = map[string]release.Child{"db": {Published: map[string]string{"url": "db://"}}, "cache": {Published: map[string]string{"url": "cache://"}}}
	if d, err = r.Evaluate(in); err != nil || len(d.Services) != 1 || d.Published["url"] != "db://" || d.Published["name"] != "db" {
		t.Errorf("%+v: %v", d, err)
	}
	in.Children["cache"] = release.Child{Published: map[string]string{"uri": "cache://"}}
	if _, err = r.Evaluate(in); err == nil || !strings.Contains(err.Error(), `cache publishes no "url"`) {
		t.Errorf("what it does not publish: %v", err)
	}
}

// TestBadRequests holds what is refused of a request.
func TestBadRequests(t *testing.T) {
	for body, want := range map[string]string{
		`i.request("My DB", "db")`:                                             `release "My DB"`,
		`i.request("mariadb", "a/b")`:                                          `name "a/b"`,
		`i.request("mariadb", "a\nb")`:                                         `name "a\nb"`,
		`i.request("mariadb", "")`:                                             `name ""`,
		`i.request("mariadb", "db"); i.request("redis", "db")`:                 "db is there twice",
		`i.request("mariadb", "db", params = {"a b": 1})`:                      `parameter "a b"`,
		`i.request("mariadb", "db", params = {"a": print})`:                    "parameter a: got builtin",
		`i.request("mariadb", "db", filter = {"cores": 3})`:                    `filter "cores" = 3`,
		`[i.request("mariadb", "db%d" % n) for n in range(33)]`:                "more than 32",
		`[i.request("mariadb", "db", params = {"a": "x" * (9 << 20)}) or [1]]`: "more than 8388608 bytes",
	} {
		r := requesting(t, "def instance(i):\n    "+body+"\n")
		if _, err := r.Evaluate(input(nil)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}
