package release_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/partition/release"
)

// server is a profile with some of everything.
const server = `
release(name = "server", version = "1", types = ["main", "spare"], sources = [debian("bash"), debian("dash", "sed")],
    parameters = {"memory": size("Memory", default = "1MiB"), "name": string("Name", default = "app")})

def instance(i):
    data = i.dir("srv/data", backup = True)
    inner = i.file("conf/inner.conf", content = "name = %s\n" % i.params.name)
    conf = i.file("conf/server.conf", template = "server.conf", data = data, memory = i.params.memory, inner = inner)
    unused = i.file("notes.txt", content = i.reference, mode = 0o644)
    i.once("install", ["sh", "-c", "init"], input = i.secret("root"))
    s = i.service("server", ["server", "--config=" + conf], ports = {"http": 8080, "admin": 8081}, env = {"MODE": i.type, "N": 1},
        ready = ["check", i.ip], ready_env = {"K": "v"}, ready_timeout = "2m", stop_signal = "SIGINT", stop_grace = 5)
    i.service("worker", ["worker"], after = s, ready = "http")
    i.once("accounts", ["admin", i.params.name], after = s, key = "1")
    i.promise("answers", http = "http://%s/" % i.address("http"), every = "1m")
    i.promise("accepts", tcp = "http", timeout = "3s")
    i.metric("requests", exec = ["count", "requests"], env = {"K": "v"}, every = "30s")
    i.metric("rows", ["count", "rows"], timeout = "1s")
    i.publish(url = "http://x:%s@%s/" % (i.secret("root"), i.address("http")), port = 8080, ready = True)
`

func loadServer(tb testing.TB) *release.Release {
	tb.Helper()
	b, err := release.NewBundle(map[string][]byte{
		"release.star": []byte(server),
		"server.conf":  []byte("# {{}}\ndata = {{ data }}\nmemory = {{memory}}\ninclude {{ inner }}\n"),
	})
	if err != nil {
		tb.Fatal(err)
	}
	r, err := release.Load(b)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func input(parameters map[string]string) release.Input {
	return release.Input{
		Reference: "web1", Address: netip.MustParseAddr("127.64.0.9"), Parameters: raw(parameters),
		Secret: func(name string) string { return "secret" + name },
	}
}

func TestEvaluate(t *testing.T) {
	got, err := loadServer(t).Evaluate(input(nil))
	if err != nil {
		t.Fatal(err)
	}
	first := func(s string) string { return s[:min(7, len(s))] }
	for n := range got.Services {
		got.Services[n].Revision = first(got.Services[n].Revision)
	}
	for n := range got.Once {
		got.Once[n].Revision = first(got.Once[n].Revision)
	}
	want := release.Desired{
		Dirs: []release.Dir{
			{Path: "srv", Mode: 0o700},
			{Path: "conf", Mode: 0o700},
			{Path: "srv/data", Mode: 0o700, Backup: true},
		},
		Files: []release.File{
			{Path: "conf/inner.conf", Mode: 0o600, Content: []byte("name = app\n")},
			{Path: "conf/server.conf", Mode: 0o600, Content: []byte("# {{\ndata = /data/srv/data\nmemory = 1048576\ninclude /data/conf/inner.conf\n")},
			{Path: "notes.txt", Mode: 0o644, Content: []byte("web1")},
		},
		Once: []release.Step{
			{Name: "install", Argv: []string{"sh", "-c", "init"}, Stdin: []byte("secretroot"), Revision: "sha256:"},
			{Name: "accounts", Argv: []string{"admin", "app"}, After: "server", Revision: "sha256:"},
		},
		Services: []release.Service{
			{
				Name: "server", Argv: []string{"server", "--config=/data/conf/server.conf"}, Env: map[string]string{"MODE": "main", "N": "1"},
				Ports:      map[string]uint16{"http": 8080, "admin": 8081},
				Readiness:  &release.Readiness{Probe: release.Probe{Exec: []string{"check", "127.64.0.9"}, Env: map[string]string{"K": "v"}}, Timeout: 2 * time.Minute},
				StopSignal: "SIGINT", StopGrace: 5 * time.Second, Uses: []string{"conf/inner.conf", "conf/server.conf"}, Revision: "sha256:",
			},
			{
				Name: "worker", Argv: []string{"worker"}, After: []string{"server"},
				Readiness:  &release.Readiness{Probe: release.Probe{TCP: "127.64.0.9:8080"}, Timeout: time.Minute},
				StopSignal: "SIGTERM", StopGrace: 10 * time.Second, Revision: "sha256:",
			},
		},
		Promises: []release.Promise{
			{Name: "answers", Probe: release.Probe{HTTP: "http://127.64.0.9:8080/"}, Every: time.Minute, Timeout: 10 * time.Second},
			{Name: "accepts", Probe: release.Probe{TCP: "127.64.0.9:8080"}, Every: 30 * time.Second, Timeout: 3 * time.Second},
		},
		Metrics: []release.Metric{
			{Name: "requests", Exec: []string{"count", "requests"}, Env: map[string]string{"K": "v"}, Every: 30 * time.Second, Timeout: 5 * time.Second},
			{Name: "rows", Exec: []string{"count", "rows"}, Every: time.Minute, Timeout: time.Second},
		},
		Published: map[string]string{"url": "http://x:secretroot@127.64.0.9:8080/", "port": "8080", "ready": "true"},
		Ports:     map[string]uint16{"http": 8080, "admin": 8081},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// TestChanges holds what has to be done again when a parameter changes.
func TestChanges(t *testing.T) {
	r := loadServer(t)
	before, err := r.Evaluate(input(nil))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, change, value string
		restarts            string
		repeats             string
	}{
		{"a file that is read", "memory", `"2MiB"`, "server", ""},
		{"a file that a file names", "name", `"other"`, "server", ""}, // accounts has a key
	}
	for _, test := range tests {
		after, err := r.Evaluate(input(map[string]string{test.change: test.value}))
		if err != nil {
			t.Fatal(err)
		}
		var restarts, repeats []string
		for n := range after.Services {
			if after.Services[n].Revision != before.Services[n].Revision {
				restarts = append(restarts, after.Services[n].Name)
			}
		}
		for n := range after.Once {
			if after.Once[n].Revision != before.Once[n].Revision {
				repeats = append(repeats, after.Once[n].Name)
			}
		}
		if got := strings.Join(restarts, " "); got != test.restarts {
			t.Errorf("%s: restarts %q, want %q", test.name, got, test.restarts)
		}
		if got := strings.Join(repeats, " "); got != test.repeats {
			t.Errorf("%s: repeats %q, want %q", test.name, got, test.repeats)
		}
		if after.Hash() == before.Hash() {
			t.Errorf("%s: same hash", test.name)
		}
	}
}

// TestDeterminism holds that equal inputs give equal results, also when many
// evaluate at once.
func TestDeterminism(t *testing.T) {
	r := loadServer(t)
	want, err := r.Evaluate(input(nil))
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				got, err := r.Evaluate(input(nil))
				if err != nil || got.Hash() != want.Hash() {
					t.Errorf("got %s (%v), want %s", got.Hash(), err, want.Hash())
				}
			}
		})
	}
	group.Wait()
}

func TestInputs(t *testing.T) {
	r := loadServer(t)
	spare := input(nil)
	spare.Type, spare.Root = "spare", "/srv/p0"
	d, err := r.Evaluate(spare)
	if err != nil {
		t.Fatal(err)
	}
	if d.Services[0].Env["MODE"] != "spare" || d.Services[0].Argv[1] != "--config=/srv/p0/conf/server.conf" {
		t.Errorf("got %v %v", d.Services[0].Env, d.Services[0].Argv)
	}
	spare.Type = "other"
	if _, err := r.Evaluate(spare); err == nil || !strings.Contains(err.Error(), `no type "other": there are ["main" "spare"]`) {
		t.Errorf("unknown type: %v", err)
	}
	var parameters *release.ParameterError
	if _, err := r.Evaluate(input(map[string]string{"x": "1"})); !errors.As(err, &parameters) {
		t.Errorf("unknown parameter: %v", err)
	}
	bare := input(nil)
	bare.Secret = nil
	if _, err := r.Evaluate(bare); err == nil || !strings.Contains(err.Error(), "no secrets are to be had here") {
		t.Errorf("no secrets: %v", err)
	}
}

func BenchmarkLoadAndEvaluate(b *testing.B) {
	bundle := must(release.NewBundle(map[string][]byte{"release.star": []byte(everyKind)}))
	in := input(map[string]string{"key": `"abcd"`})
	for b.Loop() {
		must(must(release.Load(bundle)).Evaluate(in))
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func Example() {
	bundle := must(release.NewBundle(map[string][]byte{"release.star": []byte(`
release(
    name = "greeter", version = "1", title = "Greeter",
    sources = [debian("busybox")],
    parameters = {"greeting": string("What it says", default = "hello")},
)

def instance(i):
    page = i.file("www/index.html", content = i.params.greeting)
    i.service("httpd", ["busybox", "httpd", "-f", "-p", i.ip + ":8080", "-h", i.root + "/www"], ports = {"http": 8080})
    i.promise("answers", http = "http://%s/" % i.address("http"))
    i.publish(url = "http://%s/" % i.address("http"))
`)}))
	greeter := must(release.Load(bundle))
	desired := must(greeter.Evaluate(release.Input{
		Reference:  "hi",
		Parameters: map[string]json.RawMessage{"greeting": json.RawMessage(`"good morning"`)},
		Address:    netip.MustParseAddr("127.64.0.1"),
	}))
	fmt.Println(desired.Services[0].Argv)
	fmt.Printf("%s: %s\n", desired.Files[0].Path, desired.Files[0].Content)
	fmt.Println(desired.Published["url"])
	// Output:
	// [busybox httpd -f -p 127.64.0.1:8080 -h /data/www]
	// www/index.html: good morning
	// http://127.64.0.1:8080/
}

// TestDocument holds that the first example of PROFILES.md works, and that
// the fault shown there looks as it says.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("PROFILES.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```python\n")
	profile, _, _ := strings.Cut(rest, "```")
	r := load(t, profile)
	d, err := r.Evaluate(input(nil))
	if err != nil || d.Published["url"] != "http://127.64.0.9:8080/" {
		t.Errorf("got %v %v", d.Published, err)
	}
	_, rest, _ = strings.Cut(string(text), "what was expected:\n\n```\n")
	want, _, _ := strings.Cut(rest, "```")
	b := must(release.NewBundle(map[string][]byte{"release.star": []byte(strings.Replace(profile, "default = \"h", "default_ = \"h", 1))}))
	var e *release.Error
	if _, err := release.Load(b); !errors.As(err, &e) || e.Explain() != want {
		t.Errorf("got\n%swant\n%s", e.Explain(), want)
	}
}
