package release_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/partition/release"
)

const host = `
release(name = "host", version = "1", sources = [debian("bash")], shared = {"size": integer("Size", default = 1, maximum = 9)})

def instance(i):
    i.service("server", ["server"], ports = {"http": 80})
    i.once("places", ["admin"], input = "".join(["%s %s %d %s\\n" % (s.name, s.started, s.params.size, s.secret()) for s in i.shared] + i.gone))
    for s in i.shared:
        if s.reference != "silent":
            s.publish(url = "http://%s:%s@%s/" % (s.name, s.secret(), i.address("http")))
`

// TestShared: a profile sees its shared instances, each with its parameters and
// secrets; what is wrong with one is its own fault.
func TestShared(t *testing.T) {
	r := loadOnly(t, host)
	if !r.Serves || len(r.Shared) != 1 {
		t.Fatalf("%+v", r)
	}
	in := input(nil)
	in.Shared = []release.Shared{
		{ID: 3, Reference: "a", Started: true},
		{ID: 4, Reference: "b", Parameters: map[string]json.RawMessage{"size": json.RawMessage("7")}},
		{ID: 5, Reference: "c", Started: true, Parameters: map[string]json.RawMessage{"size": json.RawMessage("10")}},
		{ID: 6, Reference: "silent", Started: true},
	}
	in.Gone = []uint64{1, 2}
	d, err := r.Evaluate(in)
	if err != nil {
		t.Fatal(err)
	}
	step := string(d.Once[0].Stdin)
	for _, want := range []string{"shared-3 True 1 ", "shared-4 False 7 ", "shared-6 True 1 ", "shared-1shared-2"} {
		if !strings.Contains(step, want) {
			t.Errorf("%q is not in %q", want, step)
		}
	}
	if strings.Contains(step, "shared-5") {
		t.Errorf("wrong parameters reach the server: %q", step)
	}
	if f := d.Shared[5].Fault; !strings.Contains(f, "size") {
		t.Errorf("wrong parameters: %q", f)
	}
	if f := d.Shared[6].Fault; !strings.Contains(f, "published nothing") {
		t.Errorf("silent: %q", f)
	}
	var secrets []string
	for _, id := range []uint64{3, 4} {
		u, err := url.Parse(d.Shared[id].Published["url"])
		if err != nil {
			t.Fatal(err)
		}
		secret, _ := u.User.Password()
		if len(secret) != 26 || slices.Contains(secrets, secret) || !strings.Contains(step, secret) {
			t.Errorf("secret of %d: %q", id, secret)
		}
		secrets = append(secrets, secret)
	}
	again, err := r.Evaluate(in)
	if err != nil || again.Hash() != d.Hash() {
		t.Errorf("evaluated again: %v", err)
	}
	in.Shared = in.Shared[:1]
	if fewer, _ := r.Evaluate(in); fewer.Shared[3].Published["url"] != d.Shared[3].Published["url"] {
		t.Error("another is gone, and the secret changed")
	}
	// A thousand of them are evaluated within the bounds.
	in.Shared = nil
	for n := range 1000 {
		in.Shared = append(in.Shared, release.Shared{ID: uint64(n + 1), Started: true})
	}
	if d, err := r.Evaluate(in); err != nil || len(d.Shared) != 1000 {
		t.Errorf("%d served: %v", len(d.Shared), err)
	}
	// A profile that says nothing of shared instances has none to look at.
	if d, err := loadOnly(t, strings.ReplaceAll(host, `shared = {"size": integer("Size", default = 1, maximum = 9)}`, "")).Evaluate(in); err == nil {
		t.Errorf("i.shared of a release that serves none: %+v", d)
	}
}

func loadOnly(tb testing.TB, profile string) *release.Release {
	tb.Helper()
	b, err := release.NewBundle(map[string][]byte{release.Main: []byte(profile)})
	if err != nil {
		tb.Fatal(err)
	}
	r, err := release.Load(b)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}
