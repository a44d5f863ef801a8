package daemon

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/protocol"
)

// agree waits until nothing changes any more, and compares the replicas.
func (w *world) agree() {
	w.t.Helper()
	var index uint64
	var hashes map[string]ledger.Hash
	for begin := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		index, hashes = 0, map[string]ledger.Hash{}
		wrong := ""
		for _, p := range w.alive() {
			v := p.view()
			if index != 0 && v.Index() != index {
				wrong += fmt.Sprintf("%s is at %d, another at %d\n", p.name, v.Index(), index)
			}
			index = v.Index()
			if d, _ := p.running(); d.books.Seat() != nil {
				r := d.books.Seat().View()
				hashes[p.name] = r.Hash()
				if r != v {
					wrong += fmt.Sprintf("%s reads its slice at %d, its replica is at %d\n", p.name, v.Index(), r.Index())
				}
			}
			for i := range v.InstancesOn(ledger.ComputerID(p.id())) {
				if i.State != i.Requested {
					wrong += fmt.Sprintf("%s on %s is %s: %s\n", i.Reference, p.name, i.State, i.Reason)
				}
			}
		}
		if len(hashes) != 6 {
			wrong += fmt.Sprintf("%d peers have a seat: %v of %+v\n", len(hashes), slices.Sorted(maps.Keys(hashes)), w.peers[0].status())
		}
		if wrong == "" {
			break
		}
		if time.Since(begin) > 2*time.Minute {
			for _, p := range w.alive() {
				wrong += fmt.Sprintf("%s is %.6s\n", p.name, p.id())
			}
			w.t.Fatalf("no agreement after two minutes:\n%s", wrong)
		}
	}
	first := hashes[slices.Min(slices.Collect(maps.Keys(hashes)))]
	for name, h := range hashes {
		if h != first {
			w.t.Errorf("replicas differ at %d: %v", index, hashes)
			break
		}
		_ = name
	}
	w.logf("%d replicas at index %d have the hash %s", len(hashes), index, first)
}

// checkAcknowledged looks on every peer for every request that was
// acknowledged.
func (w *world) checkAcknowledged(l *load) {
	w.t.Helper()
	type key struct{ account, ref string }
	told, asked, never := map[key]protocol.Instance{}, map[key]bool{}, map[key]bool{}
	for _, c := range l.answered() {
		k := key{c.account, c.ref}
		if c.err == nil {
			if was, ok := told[k]; ok && (was.ID != c.got.ID || was.Computer != c.got.Computer || was.Partition != c.got.Partition) {
				w.t.Errorf("%v: told %d on %s of %s, and %d on %s of %s", k, was.ID, was.Partition, was.ComputerName, c.got.ID, c.got.Partition, c.got.ComputerName)
			}
			told[k] = c.got
		}
		if _, before := asked[k]; c.never() && (!before || never[k]) {
			never[k] = true
		} else {
			delete(never, k)
		}
		asked[k] = true
	}
	for _, p := range w.alive() {
		v := p.view()
		slice := map[*testPeer]string{w.peers[mayVote]: "operator", w.peers[mayVote+1]: "ann"}[p] // "" sees all
		found := map[key]ledger.Instance{}
		for _, account := range []ledger.AccountName{"operator", "ann"} {
			for i := range v.Instances(account) {
				k := key{string(i.Account), string(i.Reference)}
				if _, twice := found[k]; twice {
					w.t.Errorf("%s: %v is there twice", p.name, k)
				}
				if slice != "" && k.account != slice && i.Computer != ledger.ComputerID(p.id()) {
					w.t.Errorf("%s: knows of %v, which is not its business", p.name, k)
				}
				found[k] = i
			}
		}
		places := map[string]key{}
		for k, i := range found {
			place := string(i.Computer) + "/" + ledger.PartitionName(i.Partition)
			if other, taken := places[place]; taken {
				w.t.Errorf("%s: %s was given to %v and to %v", p.name, place, k, other)
			}
			places[place] = k
			if !asked[k] || never[k] {
				w.t.Errorf("%s: %v is there, though nobody may have it", p.name, k)
			}
		}
		missing := 0
		for k, got := range told {
			i, ok := found[k]
			switch {
			case !ok && slice != "" && k.account != slice && got.Computer != string(p.id()):
			case !ok:
				missing++
			case uint64(i.ID) != got.ID || string(i.Computer) != got.Computer || ledger.PartitionName(i.Partition) != got.Partition:
				w.t.Errorf("%s: %v is %s, was acknowledged as %d", p.name, k, i.ID, got.ID)
			}
		}
		if missing > 0 {
			w.t.Errorf("%s: %d of %d acknowledged requests are missing", p.name, missing, len(told))
		}
	}
	yes, no := l.acknowledged()
	w.logf("%d calls acknowledged, %d not; %d instances told of, %d asked for, %d certainly never", yes, no, len(told), len(asked), len(never))
}

// checkComputers compares what runs with what the ledger wants.
func (w *world) checkComputers() {
	w.t.Helper()
	ran := 0
	for _, p := range w.alive() {
		want := map[int]ledger.InstanceID{}
		for i := range p.view().InstancesOn(ledger.ComputerID(p.id())) {
			want[i.Partition] = i.ID
		}
		if got := p.host.runs(); !maps.Equal(got, want) {
			w.t.Errorf("%s runs %v, the ledger wants %v", p.name, got, want)
		}
		for _, fault := range p.host.faults {
			w.t.Errorf("%s: %s", p.name, fault)
		}
		ran += len(want)
	}
	w.logf("%d instances run, each where the ledger says", ran)
}
