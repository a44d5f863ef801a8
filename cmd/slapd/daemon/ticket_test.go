package daemon

import (
	"bytes"
	"crypto/ed25519"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/tunnel"
)

// A ticket is believed from a peer that may vote, for one address and one
// peer, for a while, in one mesh.
func TestTicket(t *testing.T) {
	p := newPage(t, "ann", "bob", "eve")
	admit := func(id ledger.PeerID, role ledger.Role, fill byte) func([]byte) []byte {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{fill}, ed25519.SeedSize))
		digest := bytes.Repeat([]byte{fill}, 32)
		p.write(ledger.AsPeer("op"), ledger.CreateToken{ID: ledger.TokenID(id), Digest: digest, Role: role, Uses: 1, Expires: noon.Add(time.Hour)})
		p.write(ledger.AsPeer("op"), ledger.Admit{TokenDigest: digest, Peer: id, PublicKey: key.Public().(ed25519.PublicKey), Name: string(id)})
		return func(m []byte) []byte { return ed25519.Sign(key, m) }
	}
	voter, computer := admit("voter", ledger.RoleVoter, 1), admit("computer", ledger.RoleComputer, 2)
	removed := admit("removed", ledger.RoleVoter, 3)
	p.write(ledger.AsPeer("op"), ledger.RemovePeer{Peer: "removed"})
	p.write(ledger.AsPeer("op"), ledger.RemovePeer{Peer: "eve"})
	to := netip.MustParseAddrPort("127.64.0.1:3306")
	good := ticketBody{Peer: "bob", Address: to.String(), Until: noon.Add(ticketLife).Unix(), By: "voter"}
	for _, tc := range []struct {
		name   string
		sign   func([]byte) []byte
		change func(*ticketBody)
		peer   mesh.PeerID
		to     string
		mesh   string
		at     time.Duration
		want   string
	}{
		{name: "good"},
		{name: "a slow clock", at: 2 * time.Minute},
		{name: "later", at: 4 * time.Minute, want: "it has expired"},
		{name: "another peer shows it", peer: "ann", want: "it is for peer"},
		{name: "who was removed shows it", peer: "eve", change: func(b *ticketBody) { b.Peer = "eve" }, want: "it is for peer"},
		{name: "another address", to: "127.64.0.2:3306", want: "it is for"},
		{name: "another port", to: "127.64.0.1:22", want: "it is for"},
		{name: "another mesh", mesh: "other", want: "signature is wrong"},
		{name: "signed by the peer itself", sign: computer, change: func(b *ticketBody) { b.By = "computer" }, want: "may not vote"},
		{name: "in a voter's name", sign: computer, want: "signature is wrong"},
		{name: "signed by who was removed", sign: removed, change: func(b *ticketBody) { b.By = "removed" }, want: "may not vote"},
		{name: "signed by nobody", change: func(b *ticketBody) { b.By = "" }, want: "may not vote"},
	} {
		body, sign, peer, address, meshID := good, voter, mesh.PeerID("bob"), to, "home"
		if tc.change != nil {
			tc.change(&body)
		}
		if tc.sign != nil {
			sign = tc.sign
		}
		if tc.peer != "" {
			peer = tc.peer
		}
		if tc.to != "" {
			address = netip.MustParseAddrPort(tc.to)
		}
		if tc.mesh != "" {
			meshID = tc.mesh
		}
		ticket, err := signTicket(sign, meshID, body)
		if err != nil {
			t.Fatal(err)
		}
		err = checkTicket(p.State, "home", tunnel.Want{Address: address, Ticket: ticket}, peer, noon.Add(tc.at))
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func FuzzTicket(f *testing.F) {
	sign := func([]byte) []byte { return make([]byte, ed25519.SignatureSize) }
	ticket, err := signTicket(sign, "home", ticketBody{Peer: "bob", Address: "127.64.0.1:1", Until: 1, By: "voter"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ticket)
	f.Add(ticket[:len(ticket)-1])
	f.Add([]byte{})
	v := ledger.NewState()
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := checkTicket(v, "home", tunnel.Want{Ticket: data}, "bob", noon); err == nil {
			t.Errorf("believed %x", data)
		}
	})
}
