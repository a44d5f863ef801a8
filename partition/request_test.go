package partition

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/release"
)

// TestRequests says, for an instance that needs another and what became of
// that one, what is done and what is told.
func TestRequests(t *testing.T) {
	needs := release.Request{Release: "db@1", Reference: "db", Parameters: map[string]json.RawMessage{"size": json.RawMessage(`"1"`)}}
	child := ledger.Instance{ID: 8, Parent: 7, Reference: "db", Release: "d1", ReleaseName: "db", Parameters: map[string]json.RawMessage{"size": json.RawMessage(` "1" `), "mine": nil}}
	with := func(change func(*ledger.Instance)) []ledger.Instance {
		c := child
		change(&c)
		return []ledger.Instance{c}
	}
	failed := Trial{}.fail(t0, 3, errors.New("requests db: no free partition"))
	tests := []struct {
		name     string
		children []ledger.Instance
		change   func(*Place)
		plan     string
		report   string
	}{
		{"it is requested", nil, nil, "[request db for i7 in p0]", "starting (waits for db, which is requested)"},
		{"while it is being requested", nil, func(p *Place) { p.Asking = true }, "[]", "starting (waits for db, which is requested)"},
		{"the view does not show it yet", nil, func(p *Place) { p.Asked = t0.Add(-time.Second) }, "[]", "starting (waits for db, which is requested)"},
		{"the view never showed it", nil, func(p *Place) { p.Asked = t0.Add(-time.Minute) }, "[request db for i7 in p0]", "starting (waits for db, which is requested)"},
		{"refused", nil, func(p *Place) { p.Ask = failed }, "[]", "starting (requests db: no free partition)"},
		{"refused for good", nil, func(p *Place) { p.Ask = failed; p.Ask.Failures = 3 }, "[]", "error (requests db: no free partition)"},
		{"it is built", with(func(c *ledger.Instance) { c.State, c.Reason = ledger.InstanceBuilding, "download 3 of 9" }), nil, "[]", "starting (waits for db, which is building: download 3 of 9)"},
		{"it failed", with(func(c *ledger.Instance) { c.State, c.Reason = ledger.InstanceError, "no room" }), nil, "[]", "error (waits for db, which is error: no room)"},
		{"it has other parameters", with(func(c *ledger.Instance) { c.Parameters = nil; c.State = ledger.InstanceBuilding }), nil, "[request db for i7 in p0]", "starting (waits for db, which is building)"},
		{"it is another release", with(func(c *ledger.Instance) { c.ReleaseName = "other"; c.State = ledger.InstanceBuilding }), nil, "[request db for i7 in p0]", "starting (waits for db, which is building)"},
		{"it is another version", with(func(c *ledger.Instance) { c.Release = "d0"; c.State = ledger.InstanceBuilding }), nil, "[request db for i7 in p0]", "starting (waits for db, which is building)"},
		{"it has published, and the profile was not asked again yet", with(func(c *ledger.Instance) { c.State = ledger.InstanceStarted }), nil, "[]", "starting (waits for db, which is started)"},
		{"it has published", with(func(c *ledger.Instance) { c.State = ledger.InstanceStarted }), func(p *Place) { p.Lacks = nil }, "[]", "started ()"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			i := instance(ledger.InstanceStarted)
			w := Wanted{
				Instances: []ledger.Instance{i}, Children: test.children, Profiles: map[ledger.ReleaseDigest][]byte{"r2": nil},
				Versions: map[ledger.ReleaseDigest]string{"d1": "1", "d0": "0"},
			}
			place := Place{
				Instance: 7, Running: true, Release: "r2", Applied: 3, Generation: 3, Spec: "s", Status: started("s"),
				Requests: []release.Request{needs}, Lacks: []string{"db"},
			}
			if test.change != nil {
				test.change(&place)
			}
			have := Inventory{Releases: map[ledger.ReleaseDigest]Shelf{"r2": {Tree: "t2"}}, Places: map[int]Place{0: place}}
			if got := fmt.Sprint(Plan(w, have, t0)); got != test.plan {
				t.Errorf("plan %s, want %s", got, test.plan)
			}
			r := Reports(w, have).Instances[0]
			if got := fmt.Sprintf("%s (%s)", r.State, r.Reason); got != test.report {
				t.Errorf("report %s, want %s", got, test.report)
			}
		})
	}
}
