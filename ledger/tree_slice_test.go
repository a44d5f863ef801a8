package ledger

import (
	"fmt"
	"strings"
	"testing"
)

// TestTreeSlices: the computer of an instance sees what that requested, and
// what is shared inside it, as a requester and a host do; no other sees more.
func TestTreeSlices(t *testing.T) {
	w := given(t, `
		system found home ann p1
		p1 offer 4 country=FR
		p1 token t1 computer bob
		p1 admit p2 t1
		p2 offer 4
		p1 token t2 computer eve
		p1 admit p3 t2
		p3 offer 4
		p1 token t3 user dora
		p1 token t4 user zoe
		p1 publish web 1
		p1 publish db 1
		@dora request shop web 1 ?computer=p2 scope=public
		p2 request db db 1 parent=i1 x=1 ?country=FR +cores=1
		p1 report dora shop/db started url=db://secret
		@zoe request site web 1 shared=yes y=2 ?instance=i1
	`)
	see := func(id PeerID) string {
		v, err := w.Viewer(id)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for r := range w.Slice(v) {
			if r.Table != tableInstances {
				continue
			}
			var i Instance
			if err := Unmarshal(r.Value, &i); err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("%s %s %s %s%v %v %v %v", i.Reference, i.State, i.Requested, i.Parameters, i.Connection["url"], len(i.Filter), i.Needs.Cores, i.Host))
		}
		return strings.Join(out, "\n")
	}
	child, site := "db started started map[x:1]db://secret", "site waiting started map[y:2]"
	for _, tc := range []struct {
		peer PeerID
		want string
	}{
		{"p2", "shop waiting started map[] 1 0 i0\n" + child + " 0 0 i0\n" + site + " 0 0 i1"},
		{"p3", ""},
	} {
		if got := see(tc.peer); got != tc.want {
			t.Errorf("%s sees\n%s\nwant\n%s", tc.peer, got, tc.want)
		}
	}
	if got := see("p1"); !strings.Contains(got, child+" 1 1000 i0") { // an operator's voter sees all
		t.Errorf("p1 sees\n%s", got)
	}
}

// TestTreeQuotes: what a shared instance, and one that another requests, would
// cost.
func TestTreeQuotes(t *testing.T) {
	w := given(t, "system found home ann p1\np1 offer 4\np1 publish web 1\np1 publish db 1\np1 price request=1 partition=1\np1 request shop web 1\n")
	for _, tc := range []struct {
		when string
		then string
	}{
		{"p1 request site web 1 shared=yes ?instance=shop", "site p1 0.00 1.00"},
		{"p1 request db db 1 parent=i1", "shop/db p1 1.00 1.00"},
	} {
		p, c := w.parse(strings.Fields(tc.when))
		q, err := w.Copy().Quote(p, w.at, nil, c.(Request))
		if got := fmt.Sprintf("%s %s %s %s", q.Reference, q.Computer, q.Hour, q.Due); err != nil || got != tc.then {
			t.Errorf("%s: %s, %v, want %s", tc.when, got, err, tc.then)
		}
	}
}
