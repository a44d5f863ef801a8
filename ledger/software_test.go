package ledger

import "testing"

func TestReleaseByName(t *testing.T) {
	w := given(t, `
		system found commons op p1 open
		p1 admit p2
		p1 admit p3
		p1 admit p4
		p2 publish web 2
		p3 publish web 3
	`)
	want := func(account AccountName, version string) {
		t.Helper()
		if r, ok := w.ReleaseByName(account, "web"); !ok || r.Version != version {
			t.Errorf("%s means %s, want %s", account, r.Version, version)
		}
	}
	want("peer-p2", "2")
	want("peer-p3", "3")
	want("peer-p4", "2") // the first
	w.run("p1 publish web 1")
	want("peer-p3", "3")
	want("peer-p4", "1") // the operator's
	if _, ok := w.ReleaseByName("peer-p4", "we"); ok {
		t.Error("a prefix is no name")
	}
}
