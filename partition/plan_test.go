package partition

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

func ExamplePlan() {
	w := Wanted{
		Instances: []ledger.Instance{
			{ID: 7, Partition: 0, Release: "sha256:mariadb", Requested: ledger.InstanceStarted, Generation: 1},
			{ID: 8, Partition: 1, Release: "sha256:redis", Requested: ledger.InstanceStarted, Generation: 2},
			{ID: 9, Partition: 2, Release: "sha256:redis", Requested: ledger.InstanceStopped, Generation: 3},
			{ID: 5, Partition: 3, Release: "sha256:redis", Requested: ledger.InstanceDestroyed, Generation: 4},
		},
		Supplies: []ledger.Supply{
			{Release: "sha256:redis", Requested: ledger.SupplyAvailable},
			{Release: "sha256:old", Requested: ledger.SupplyDestroyed},
		},
		Profiles: map[ledger.ReleaseDigest][]byte{"sha256:mariadb": nil, "sha256:redis": nil},
	}
	have := Inventory{
		Releases: map[ledger.ReleaseDigest]Shelf{"sha256:redis": {Tree: "t1"}, "sha256:old": {Tree: "t0"}},
		Places: map[int]Place{
			2: {Instance: 9, Running: true, Release: "sha256:redis"},
			3: {Instance: 5, Running: true, Release: "sha256:redis"},
		},
	}
	for _, step := range Plan(w, have, time.Time{}) {
		fmt.Println(step)
	}
	// Output:
	// build sha256:mariadb
	// stop p2
	// destroy p3
	// drop sha256:old
	// start i8 of sha256:redis in p1
}

var t0 = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func instance(requested ledger.InstanceState) ledger.Instance {
	return ledger.Instance{ID: 7, Partition: 0, Release: "r2", Requested: requested, Generation: 3}
}

func started(spec string) *supervisor.Status {
	return &supervisor.Status{Phase: supervisor.PhaseStarted, Healthy: true, Spec: spec}
}

// TestPlanAndReports says, for one instance and what is there, what is done
// and what is told.
func TestPlanAndReports(t *testing.T) {
	built := map[ledger.ReleaseDigest]Shelf{"r2": {Tree: "t2"}}
	for _, c := range []struct {
		name      string
		requested ledger.InstanceState
		place     *Place
		shelves   map[ledger.ReleaseDigest]Shelf
		unknown   bool // the profile is not here
		plan      string
		report    string
	}{
		{name: "profile has not arrived", requested: "started", unknown: true, report: "waiting: the profile"},
		{name: "builds first", requested: "started", plan: "build r2", report: "building"},
		{
			name: "shows progress", requested: "started", shelves: map[ledger.ReleaseDigest]Shelf{"r2": {Busy: true, Progress: "unpacking 3 of 9 packages"}},
			report: "building: unpacking 3 of 9",
		},
		{
			name: "a failed build waits", requested: "started",
			shelves: map[ledger.ReleaseDigest]Shelf{"r2": {Trial: Trial{Failures: 1, Why: "no network", Next: t0.Add(time.Second)}}},
			report:  "building: tried again soon: no network",
		},
		{
			name: "and is tried again", requested: "started",
			shelves: map[ledger.ReleaseDigest]Shelf{"r2": {Trial: Trial{Failures: 5, Why: "no network", Next: t0}}},
			plan:    "build r2", report: "error: no network",
		},
		{name: "starts in an empty place", requested: "started", shelves: built, plan: "start i7 of r2 in p0", report: "starting"},
		{
			name: "waits for the step under way", requested: "started", shelves: built,
			place: &Place{Instance: 7, Busy: true}, report: "starting",
		},
		{
			name: "removes what another left", requested: "started", shelves: built,
			place: &Place{Instance: 6, Running: true, Release: "r2"}, plan: "destroy p0", report: "starting",
		},
		{
			name: "applies a new generation", requested: "started", shelves: built,
			place: &Place{Instance: 7, Running: true, Release: "r2", Applied: 2, Spec: "s", Status: started("s")},
			plan:  "start i7 of r2 in p0", report: "starting",
		},
		{
			name: "restarts for another tree", requested: "started", shelves: built,
			place: &Place{Instance: 7, Running: true, Release: "r1", Applied: 2, Spec: "s", Status: started("s")},
			plan:  "stop p0", report: "starting",
		},
		{
			name: "the old version runs while the new one is built", requested: "started",
			place: &Place{Instance: 7, Running: true, Release: "r1", Applied: 2, Spec: "s", Status: started("s")},
			plan:  "build r2", report: "building",
		},
		{
			name: "is started", requested: "started", shelves: built,
			place:  &Place{Instance: 7, Running: true, Release: "r2", Applied: 3, Spec: "s", Status: started("s"), Connection: map[string]string{"url": "u"}},
			report: "started healthy u",
		},
		{
			name: "a status of the spec before is late", requested: "started", shelves: built,
			place:  &Place{Instance: 7, Running: true, Release: "r2", Applied: 3, Spec: "new", Status: started("s")},
			report: "starting",
		},
		{
			name: "a found instance is not spoken of before it was asked", requested: "started", shelves: built,
			place: &Place{Instance: 7, Running: true, Release: "r2"}, plan: "start i7 of r2 in p0",
		},
		{
			name: "an error is told", requested: "started", shelves: built,
			place: &Place{
				Instance: 7, Running: true, Release: "r2", Applied: 3, Spec: "s",
				Status: &supervisor.Status{Phase: supervisor.PhaseError, Reason: "service db: exit status 1", Spec: "s"},
			},
			report: "error: service db",
		},
		{
			name: "a failed start backs off", requested: "started", shelves: built,
			place:  &Place{Instance: 7, Trial: Trial{Failures: 1, For: 3, Why: "no memory", Next: t0.Add(time.Second)}},
			report: "starting: no memory",
		},
		{
			name: "a new generation does not wait", requested: "started", shelves: built,
			place: &Place{Instance: 7, Trial: Trial{Failures: 9, For: 2, Why: "no memory", Next: t0.Add(time.Hour)}},
			plan:  "start i7 of r2 in p0", report: "starting",
		},
		{
			name: "bad parameters are not tried again", requested: "started", shelves: built,
			place:  &Place{Instance: 7, Trial: Trial{Failures: 1, For: 3, Why: "parameters: memory: -1", Permanent: true, Next: t0}},
			report: "error: parameters: memory",
		},
		{
			name: "stops", requested: "stopped", shelves: built,
			place: &Place{Instance: 7, Running: true, Release: "r2"}, plan: "stop p0", report: "stopping",
		},
		{name: "is stopped", requested: "stopped", place: &Place{Instance: 7}, report: "stopped"},
		{name: "was never started", requested: "stopped", report: "stopped"},
		{name: "destroys", requested: "destroyed", place: &Place{Instance: 7}, plan: "destroy p0", report: "stopping"},
		{name: "destroys what nobody wrote down", requested: "destroyed", place: &Place{}, plan: "destroy p0", report: "stopping"},
		{name: "is destroyed", requested: "destroyed", report: "destroyed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := Wanted{Instances: []ledger.Instance{instance(c.requested)}, Profiles: map[ledger.ReleaseDigest][]byte{"r2": nil}}
			if c.unknown {
				w.Profiles = nil
			}
			have := Inventory{Releases: c.shelves, Places: map[int]Place{}}
			if c.place != nil {
				have.Places[0] = *c.place
			}
			var plan []string
			for _, s := range Plan(w, have, t0) {
				plan = append(plan, s.String())
			}
			if got := strings.Join(plan, ", "); got != c.plan {
				t.Errorf("plan: %q, want %q", got, c.plan)
			}
			got := ""
			for _, r := range Reports(w, have).Instances {
				got = string(r.State)
				if r.Healthy {
					got += " healthy"
				}
				if r.Reason != "" {
					got += ": " + r.Reason
				}
				if r.Connection != nil {
					got += " " + r.Connection["url"]
				}
			}
			if !strings.HasPrefix(got, c.report) || c.report == "" && got != "" {
				t.Errorf("report: %q, want %q", got, c.report)
			}
		})
	}
}

func TestPlanSparesTreesInUse(t *testing.T) {
	w := Wanted{
		Instances: []ledger.Instance{{ID: 1, Release: "a", Requested: ledger.InstanceStopped}},
		Supplies:  []ledger.Supply{{Release: "b", Requested: ledger.SupplyDestroyed}},
	}
	have := Inventory{Releases: map[ledger.ReleaseDigest]Shelf{"a": {Tree: "same"}, "b": {Tree: "same"}}}
	if got := Plan(w, have, t0); len(got) != 0 {
		t.Errorf("plan: %v, want none: the tree is another release's too", got)
	}
	w.Instances = nil
	have.Places = map[int]Place{4: {Instance: 9, Running: true, Release: "b"}}
	if got := Plan(w, have, t0); len(got) != 0 {
		t.Errorf("plan: %v, want none: an orphan runs on the tree", got)
	}
}

func TestPlanLeavesOrphansForAWhile(t *testing.T) {
	have := Inventory{Places: map[int]Place{4: {Instance: 9, Running: true, Lost: t0}}}
	if got := Plan(Wanted{}, have, t0.Add(orphanGrace-1)); len(got) != 0 {
		t.Errorf("plan: %v, want none yet", got)
	}
	if got := NextLook(have, t0); got != t0.Add(orphanGrace) {
		t.Errorf("next look at %v", got)
	}
	if got := Plan(Wanted{}, have, t0.Add(orphanGrace)); fmt.Sprint(got) != "[stop p4]" {
		t.Errorf("plan: %v, want it stopped, and its data kept", got)
	}
}

// TestReportShared: of a shared instance is told what it is, while its host is
// started.
func TestReportShared(t *testing.T) {
	shared := func(id ledger.InstanceID, requested ledger.InstanceState) ledger.Instance {
		return ledger.Instance{ID: id, Host: 7, Shared: true, ReleaseName: "web", Requested: requested, Generation: 2}
	}
	serving := map[ledger.InstanceID]release.Served{8: {Published: map[string]string{"url": "u8"}}, 9: {Published: map[string]string{"url": "u9"}}}
	broken := &supervisor.Status{Phase: supervisor.PhaseStarted, Reason: "step shared: no", Spec: "s"}
	for _, c := range []struct {
		name   string
		host   ledger.InstanceState
		was    ledger.InstanceState // of the first
		shared map[ledger.InstanceID]release.Served
		status *supervisor.Status
		want   string
	}{
		{"served", "started", "", serving, started("s"), "i8 started u8: ; i9 stopped : "},
		{"not served", "started", "", nil, started("s"), "i8 error : the release web, which its host runs, serves no shared instances; i9 error : the release web, which its host runs, serves no shared instances"},
		{"at fault", "started", "", map[ledger.InstanceID]release.Served{8: {Fault: "size is 10"}, 9: serving[9]}, started("s"), "i8 error : size is 10; i9 stopped : "},
		{"not told yet", "started", "", map[ledger.InstanceID]release.Served{}, started("s"), "i8 waiting : ; i9 waiting : "},
		{"host is told anew", "started", "", serving, started("older"), ""},
		{"host fails at it", "started", "", serving, broken, "i8 starting : its host: step shared: no; i9 stopping : its host: step shared: no"},
		{"host fails later", "started", "started", serving, broken, "i8 started : its host: step shared: no; i9 stopping : its host: step shared: no"},
		{"host in error", "started", "", serving, &supervisor.Status{Phase: supervisor.PhaseError, Reason: "no", Spec: "s"}, "i8 error : its host: no; i9 stopping : its host: no"},
		{"host is stopped", "stopped", "", serving, started("s"), "i9 stopped : "},
	} {
		host := instance(c.host)
		first := shared(8, ledger.InstanceStarted)
		first.State = c.was
		w := Wanted{Instances: []ledger.Instance{host}, Shared: []ledger.Instance{first, shared(9, ledger.InstanceStopped)}}
		have := Inventory{Places: map[int]Place{0: {Instance: 7, Running: true, Applied: host.Order(), Spec: "s", Status: c.status, Shared: c.shared}}}
		var got []string
		for _, r := range reportShared(w, have) {
			got = append(got, fmt.Sprintf("%s %s %s: %s", r.ID, r.State, r.Connection["url"], r.Reason))
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, text, c.want)
		}
	}
}

// TestPlanEnded: what was destroyed while the computer was away goes at once;
// what the ledger merely does not know stays.
func TestPlanEnded(t *testing.T) {
	have := Inventory{Places: map[int]Place{
		0: {Instance: 7, Running: true, Lost: t0},
		1: {Instance: 8, Running: true, Lost: t0},
		2: {Instance: 6, Lost: t0, Busy: true},
		3: {Lost: t0},
	}}
	w := Wanted{Ended: []ledger.InstanceID{6, 7, 9, 0}}
	if got := fmt.Sprint(Plan(w, have, t0.Add(time.Second))); got != "[destroy p0]" {
		t.Errorf("plan %s", got)
	}
	if got := fmt.Sprint(Plan(w, have, t0.Add(orphanGrace))); got != "[destroy p0 stop p1]" {
		t.Errorf("later: plan %s", got)
	}
}

// TestPlanShared: who starts a host knows what is inside, and what was.
func TestPlanShared(t *testing.T) {
	w := Wanted{
		Instances: []ledger.Instance{instance("started"), {ID: 6, Partition: 1, Release: "r2", Requested: "started"}},
		Shared:    []ledger.Instance{{ID: 8, Host: 7}, {ID: 9, Host: 6}},
		Gone:      []ledger.Instance{{ID: 4, Host: 7}, {ID: 3, Host: 5}},
		Profiles:  map[ledger.ReleaseDigest][]byte{"r2": nil},
	}
	steps := Plan(w, Inventory{Releases: map[ledger.ReleaseDigest]Shelf{"r2": {Tree: "t2"}}}, t0)
	if s, ok := steps[0].(Start); !ok || len(s.Shared) != 1 || s.Shared[0].ID != 8 || len(s.Gone) != 1 || s.Gone[0] != 4 {
		t.Errorf("%+v", steps)
	}
}

func TestTrial(t *testing.T) {
	var tr Trial
	last := time.Duration(0)
	for n := 1; n <= 14; n++ {
		tr = tr.fail(t0, 1, errors.New("no"))
		d := tr.Next.Sub(t0)
		if n < 9 && d <= last || d > 12*time.Minute {
			t.Errorf("after %d failures: %s, before %s", n, d, last)
		}
		last = d
	}
	if tr = tr.fail(t0, 2, errors.New("no")); tr.Failures != 1 {
		t.Errorf("failures of another generation count: %d", tr.Failures)
	}
	if !(Trial{}).fail(t0, 1, fmt.Errorf("start: %w", &release.ParameterError{})).hopeless() {
		t.Error("a bad parameter is worth waiting for")
	}
}

func TestClip(t *testing.T) {
	long := clip(strings.Repeat("é", ledger.MaxReason))
	if len(long) > ledger.MaxReason || !strings.HasSuffix(long, "é…") {
		t.Errorf("%d bytes, ends with %q", len(long), long[len(long)-8:])
	}
	if got := clip("a\xffb"); got != "a?b" {
		t.Errorf("got %q", got)
	}
}
