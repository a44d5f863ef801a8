package ledger

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
	"github.com/slapmesh/slapmesh/ledger/placement"
)

// randomCommand returns something that might be asked, right or wrong.
func randomCommand(r *rand.Rand, w *world, step int) (Principal, Command) {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	if step == 0 {
		return System(), Found{"home", "m", r.IntN(2) == 0, "ann", "p1", "attic", publicKeyOf("p1"), 0, CurrentRules, testSecret, false}
	}
	peer := PeerID(pick("p1", "p1", "p2", "p3", "p4", "p5", "p6"))
	if members := slices.Collect(w.Peers()); r.IntN(5) > 0 {
		peer = members[r.IntN(len(members))].ID
	}
	token := fmt.Sprint("t", step/100, pick("a", "b", "c")) // new ones come up
	other := PeerID(pick("p2", "p3", "p4", "p5", "p6"))     // p1 stays, lest the mesh die out
	name, version := pick("web", "db"), pick("1", "2")
	reference := Reference(pick("a", "b", "c", "d", "e", "f", "g"))
	p := AsPeer(peer)
	if r.IntN(10) == 0 {
		p = []Principal{System(), AsAccount("ann"), AsAccount("bob"), AsAccount("acme"), AsToken(TokenID(token))}[r.IntN(5)]
	}
	switch n := r.IntN(100); {
	case n < 4:
		c := CreateToken{
			ID: TokenID(token), Digest: digestOfToken(token), Role: Role(pick("voter", "computer", "user")), Uses: 1 + r.IntN(3),
			Expires: w.at.Add(time.Duration(r.IntN(7200)) * time.Second), Account: AccountName(pick("ann", "bob", "")),
		}
		if c.Role == RoleUser {
			c.narrowRandomly(r)
		}
		return p, c
	case n < 12:
		return AsPeer("p1"), Admit{digestOfToken(token), false, other, publicKeyOf(string(other)), "x"}
	case n < 14:
		id := pick("p5", "p6")
		return p, Admit{nil, true, PeerID(id), publicKeyOf(id), "x"}
	case n < 22:
		return p, Offer{
			Partitions: r.IntN(8), Scope: Scope(pick("", "", "personal", "closed", "public", "group")), Grade: pick("plain", "sandbox"), Labels: map[string]string{"country": pick("FR", "DE")},
			Cores: uint32(1000 * r.IntN(4)), Memory: int64(r.IntN(6)) << 30, Disk: int64(r.IntN(3)) << 40, Bandwidth: int64(r.IntN(3)) * 1e8,
		}
	case n < 26:
		return p, Publish{Digest: DigestOf(profileOf(name, version)), Profile: profileOf(name, version), Name: name, Version: version, Types: []string{"default", "big"}}
	case n < 29:
		return p, SetSupply{ComputerID(peer), DigestOf(profileOf(name, version)), SupplyState(pick("available", "destroyed"))}
	case n < 38:
		return randomTree(r, w, p, peer, randomRequest(r, reference, DigestOf(profileOf(name, version))))
	case n < 56:
		return p, randomRequest(r, reference, DigestOf(profileOf(name, version)))
	case n < 68:
		c := randomState(r, reference)
		c.Account = AccountName(pick("", "", "", "acme", "lab"))
		return p, c
	case n < 88:
		return randomReport(r, w, peer)
	case n < 90:
		return System(), MarkComputers{[]ComputerID{ComputerID(peer)}, []ComputerID{"p1", "p2", "p3", ComputerID(other)}}
	}
	switch r.IntN(3) {
	case 0:
		return randomMoney(r, w, p, peer)
	case 1:
		return randomPeople(r, p)
	}
	if r.IntN(12) == 0 {
		return randomApplicant(r, p, w.at)
	}
	if r.IntN(3) == 0 {
		return randomFleet(r, p, ComputerID(peer))
	}
	if n := r.IntN(12); n < 2 {
		return AsPeer(other), []Command{Leave{Force: true}, RemovePeer{PeerID(pick("p6", "x"))}}[n]
	}
	return p, []Command{
		RevokeToken{TokenID(token)},
		SetRole{other, Role(pick("voter", "computer"))},
		AssignSeat{other},
		Unpublish{DigestOf(profileOf(name, version))},
	}[r.IntN(4)]
}

func randomRequest(r *rand.Rand, reference Reference, release ReleaseDigest) Request {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	c := Request{
		Reference: reference, Release: release, Pinned: r.IntN(4) == 0,
		Type: pick("", "", "default", "big", "none"), State: InstanceState(pick("", "", "started", "stopped", "destroyed")),
		ReplaceParameters: r.IntN(3) == 0,
	}
	if r.IntN(2) == 0 {
		c.Parameters = map[string]json.RawMessage{pick("x", "y"): json.RawMessage(pick("1", "null", `{"a": [1, 2]}`, "{"))}
	}
	if r.IntN(4) == 0 {
		c.Account = AccountName(pick("acme", "lab", "bob"))
	}
	if r.IntN(2) == 0 {
		c.Filter = map[string]string{pick("country", "computer", "grade"): pick("FR", "DE", "p1", "p3", "sandbox")}
	}
	if r.IntN(2) == 0 {
		c.Needs, c.ReplaceNeeds = Needs{int64(500 * r.IntN(4)), int64(r.IntN(3)) << 30, int64(r.IntN(2)-r.IntN(30)/29) << 39, int64(r.IntN(6)/4) * 4e7}, r.IntN(4) == 0
		if r.IntN(50) == 0 {
			c.Where = pick("cores / 0 > 1", "price <= 100000", "memory_free > 2GiB")
		}
		c.Policy = placement.Policy(pick("", "default", "pack", "spread", "cheapest", "cheapest"))
	}
	if r.IntN(8) == 0 {
		c.MaxPrice = book.Amount(r.Int64N(3e6))
		c.Affinity = Affinity{references(pick("", "", "a", "b")), pick("", "", "", "site"), references(pick("", "d", "d,e", "g")), pick("", "site", "host", "country")}
	}
	return c
}

func randomReport(r *rand.Rand, w *world, peer PeerID) (Principal, Command) {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	var c Report
	instances := collect(w.InstancesOn(ComputerID(peer)))
	for _, i := range instances {
		instances = append(instances, collect(w.SharedOn(i.ID))...)
	}
	for _, i := range instances {
		if r.IntN(3) == 0 {
			continue
		}
		state := InstanceState(pick("building", "starting", "started", "stopped", "error"))
		if i.Requested == InstanceDestroyed && r.IntN(2) == 0 {
			state = InstanceDestroyed
		}
		c.Instances = append(c.Instances, InstanceReport{
			ID: i.ID, Generation: i.Generation - uint64(r.IntN(2)), State: state, Healthy: r.IntN(2) == 0,
			Connection: map[string]string{"url": pick("a", "b")}, Ports: map[string]uint16{"main": uint16(1 + r.IntN(3))},
		})
	}
	for p := range w.Supplies(ComputerID(peer)) {
		c.Supplies = append(c.Supplies, SupplyReport{p.Release, SupplyState(pick("building", "available", "error", "destroyed")), pick("1 of 2", "2 of 2"), ""})
	}
	return AsPeer(peer), c
}
