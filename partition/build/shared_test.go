package build_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/partition/build/buildtest"
	"github.com/slapmesh/slapmesh/partition/catalog"
	"github.com/slapmesh/slapmesh/partition/release"
)

// TestSharedDatabases runs the servers of the catalogue that hold shared
// instances, and uses those as their requesters would: each has a database and
// a user of its own, who gets into no other; one that is stopped lets nobody
// in and keeps its data; one that is destroyed is gone, and no other is.
func TestSharedDatabases(t *testing.T) {
	b := buildtest.Open(t)
	for _, test := range []struct {
		name, address string
		servers       string // database
		use           use
	}{
		{"mariadb", "127.64.200.5", "mysql", useMariaDB},
		{"postgresql", "127.64.200.6", "postgres", usePostgreSQL},
	} {
		t.Run(test.name, func(t *testing.T) {
			item, ok := catalog.Lookup(test.name)
			if !ok || !item.Release.Serves {
				t.Fatal("not in the catalogue, or it serves no shared instances")
			}
			tree, err := b.Build(t.Context(), item.Release.Sources, nil)
			if err != nil {
				t.Fatal(err)
			}
			r := newRunner(t, tree, test.address)
			one := release.Shared{ID: 12, Reference: "ann's", Started: true}
			two := release.Shared{ID: 13, Reference: "bob's", Started: true, Parameters: map[string]json.RawMessage{"connections": json.RawMessage("2")}}
			wrong := release.Shared{ID: 14, Started: true, Parameters: map[string]json.RawMessage{"connections": json.RawMessage(`"'; DROP"`)}}
			// with says what should be, with these inside and those gone.
			with := func(gone []uint64, shared ...release.Shared) release.Desired {
				t.Helper()
				return r.evaluate(item.Release, release.Input{Shared: shared, Gone: gone})
			}
			first := with(nil)
			r.start(first)
			must := func(what string, err error) {
				t.Helper()
				if err != nil {
					r.must(fmt.Errorf("%s: %w", what, err))
				}
			}
			mustNot := func(what string, err error) {
				t.Helper()
				if err == nil {
					t.Errorf("%s: it works", what)
				}
			}
			must("its own", test.use(t, first.Published["url"], true))

			d := with(nil, one, two, wrong)
			if f := d.Shared[14]; f.Fault == "" || f.Published != nil {
				t.Errorf("wrong parameters: %+v", f)
			}
			urls := map[int]string{1: d.Shared[12].Published["url"], 2: d.Shared[13].Published["url"]}
			server := d.Services[0].Name
			r.steps(t.Context(), d, server)
			must("ann writes", test.use(t, urls[1], true))
			must("bob writes", test.use(t, urls[2], true))
			must("ann reads", test.use(t, urls[1], false))
			// Nobody gets into another's, nor the host's, nor with another's password.
			into := func(url, database string) string { return url[:strings.LastIndex(url, "/")+1] + database }
			for what, url := range map[string]string{
				"ann in bob's":           into(urls[1], "shared-13"),
				"ann in the host's":      into(urls[1], "app"),
				"the host's user in it":  into(first.Published["url"], "shared-12"),
				"with another's secret":  strings.ReplaceAll(urls[1], d.Shared[12].Published["password"], d.Shared[13].Published["password"]),
				"in the server's tables": into(urls[1], test.servers),
			} {
				mustNot(what, test.use(t, url, true))
			}

			stopped := one
			stopped.Started = false
			d = with(nil, stopped, two)
			r.steps(t.Context(), d, server)
			mustNot("ann while hers is stopped", test.use(t, urls[1], false))
			must("bob, of whom nothing was asked", test.use(t, urls[2], false))

			d = with(nil, one) // a ledger that has forgotten bob's
			r.steps(t.Context(), d, server)
			mustNot("bob, unknown", test.use(t, urls[2], false))
			d = with(nil, one, two)
			if d.Shared[13].Published["url"] != urls[2] {
				t.Error("bob has another URL")
			}
			r.steps(t.Context(), d, server)
			must("bob is back", test.use(t, urls[2], false))

			d = with([]uint64{12, 99}, two)
			r.steps(t.Context(), d, server)
			mustNot("ann's, destroyed", test.use(t, urls[1], false))
			r.stop(d)
			r.done = map[string]string{d.Once[0].Name: d.Once[0].Revision} // all but the installation is done again, as it may be
			r.start(d)
			must("bob after a restart", test.use(t, urls[2], false))
			must("the host's own after a restart", test.use(t, first.Published["url"], false))
			r.stop(d)
		})
	}
}
