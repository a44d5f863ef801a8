package daemon

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/tunnel"
	"github.com/slapmesh/slapmesh/partition"
)

// An entrance is an address that someone on this computer may connect to: from
// the computer itself, or from within one of its instances. Connections go to
// an instance here, or to the peer that has it.
type entrance struct {
	at     netip.AddrPort
	udp    bool
	within ledger.InstanceID // 0 is the computer's own loopback
	to     ledger.InstanceID
	peer   mesh.PeerID
}

// passed reports whether the listener is passed to the instance's supervisor.
// The others are tunnels: to other computers, and of datagrams.
func (e entrance) passed(self mesh.PeerID) bool { return e.peer == self && !e.udp }

// maxNamed bounds the addresses in the parameters of an instance that are
// looked at.
const maxNamed = 64

// addressLike finds what may be the address of an instance in parameters.
var addressLike = regexp.MustCompile(`\b127\.\d{1,3}\.\d{1,3}\.\d{1,3}\b`)

// maxMates bounds how many instances a tree or project may have for each to
// reach all others, without having been told their addresses.
const maxMates = 64

// reaches lists the instances that w may connect to: those of its tree or
// project, or, if that is large, the one that requested it and those that it
// requested; and those of its account's, or that take its account's, whose
// addresses are in its parameters. It may name one twice.
func reaches(v *ledger.State, w ledger.Instance) iter.Seq[ledger.Instance] {
	return func(yield func(ledger.Instance) bool) {
		at := func(a netip.Addr) (ledger.Instance, bool) {
			i, ok := v.InstanceAt(a)
			return i, ok && i.ID != w.ID && open(i)
		}
		for _, mate := range mates(v, w) {
			if i, ok := at(mate.Address); ok && mate.Requested == ledger.InstanceStarted && !yield(i) {
				return
			}
		}
		if parent, ok := v.Instance(w.Parent); ok {
			if i, ok := at(parent.Address); ok && !yield(i) {
				return
			}
		}
		for child := range v.Children(w.ID) {
			// What is shared answers at its host's address.
			if i, ok := at(child.Address); ok && child.Requested == ledger.InstanceStarted && !yield(i) {
				return
			}
		}
		for _, a := range addressesIn(w) {
			i, ok := at(a)
			if ok && (i.Account == w.Account || uses(v, w.Account, i.Account) || sharesIn(v, i, w.Account)) && !yield(i) {
				return
			}
		}
	}
}

// mates returns the instances of w's tree or project, unless they are many.
func mates(v *ledger.State, w ledger.Instance) []ledger.Instance {
	all := v.Tree(w)
	if a, _ := v.Account(w.Account); a.Kind == ledger.KindProject {
		all = v.Instances(w.Account)
	}
	var found []ledger.Instance
	for i := range all {
		if found = append(found, i); len(found) > maxMates {
			return nil
		}
	}
	return found
}

// addressesIn returns the addresses of instances that w's parameters contain.
func addressesIn(w ledger.Instance) []netip.Addr {
	var found []netip.Addr
	for _, name := range slices.Sorted(maps.Keys(w.Parameters)) {
		for _, text := range addressLike.FindAll(w.Parameters[name], maxNamed) {
			a, err := netip.ParseAddr(string(text))
			if err == nil && tunnel.Network.Contains(a) && !slices.Contains(found, a) {
				found = append(found, a)
			}
			if len(found) == maxNamed {
				return found
			}
		}
	}
	return found
}

// open says whether connections to an instance are to be had.
func open(i ledger.Instance) bool {
	return !i.Settled() && i.Requested == ledger.InstanceStarted && i.Address.IsValid()
}

// reachesFrom reports whether an instance of the computer may connect to i.
func reachesFrom(v *ledger.State, computer ledger.ComputerID, i ledger.Instance) bool {
	for w := range v.InstancesOn(computer) {
		if !open(w) {
			continue
		}
		for j := range reaches(v, w) {
			if j.ID == i.ID {
				return true
			}
		}
	}
	return false
}

// entrances lists what a computer whose instances have networks of their own
// has to keep open: on its loopback, for the peers that share it, and within
// its instances. News are of instances here, whose ports the ledger may not
// know yet.
func entrances(v *ledger.State, self ledger.ComputerID, host string, news map[ledger.InstanceID]partition.Result) []entrance {
	var near []ledger.AccountName
	for c := range v.Computers() {
		if c.ID == self || host != "" && c.Host == host {
			if p, ok := v.Peer(ledger.PeerID(c.ID)); ok && !p.Revoked && !slices.Contains(near, p.Account) {
				near = append(near, p.Account)
			}
		}
	}
	var out []entrance
	add := func(within ledger.InstanceID, i ledger.Instance) {
		has, udp := i.Ports, i.UDP
		if fresh, ok := news[i.ID]; ok {
			has, udp = fresh.Ports, fresh.UDP
		}
		for name, port := range has {
			out = append(out, entrance{netip.AddrPortFrom(i.Address, port), slices.Contains(udp, name), within, i.ID, mesh.PeerID(i.Computer)})
		}
	}
	for i := range v.InstancesOn(self) {
		if !open(i) {
			continue
		}
		if slices.ContainsFunc(near, func(a ledger.AccountName) bool {
			return a == i.Account || uses(v, a, i.Account) || sharesIn(v, i, a)
		}) {
			add(0, i)
		}
		for j := range reaches(v, i) {
			add(i.ID, j)
		}
	}
	slices.SortFunc(out, func(a, b entrance) int {
		return cmp.Or(cmp.Compare(a.within, b.within), a.at.Compare(b.at), cmp.Compare(a.to, b.to), strings.Compare(fmt.Sprint(a.udp), fmt.Sprint(b.udp)))
	})
	return slices.Compact(out)
}
