package ledger_test

import (
	"fmt"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// A state decides commands and evolves by the events: that is all there is.
func Example() {
	profile := []byte("what release.star and its templates are packed into")
	digest := ledger.DigestOf(profile)

	s := ledger.NewState()
	ask := func(p ledger.Principal, c ledger.Command) {
		at := s.Advance(s.Index()+1, time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
		events, err := s.Decide(c, ledger.Context{At: at, Principal: p})
		if err != nil {
			fmt.Printf("refused: %v (%v)\n", err, ledger.CodeOf(err))
		}
		for _, e := range events {
			fmt.Println(e)
		}
		s.Evolve(events...)
	}

	ask(ledger.System(), ledger.Found{Rules: ledger.CurrentRules, Secret: make([]byte, 32), Name: "home", ID: "m1", Account: "ann", Peer: "p1", PeerName: "attic", PublicKey: []byte{1}})
	ask(ledger.AsPeer("p1"), ledger.Offer{Partitions: 1})
	ask(ledger.AsPeer("p1"), ledger.Publish{Digest: digest, Profile: profile, Name: "mariadb", Version: "10.11"})
	ask(ledger.AsPeer("p1"), ledger.Request{Reference: "db1", Release: digest})
	ask(ledger.AsPeer("p1"), ledger.Request{Reference: "db1", Release: digest}) // a retry changes nothing
	ask(ledger.AsPeer("p1"), ledger.Request{Reference: "db2", Release: digest})
	// Output:
	// founded mesh home by attic (ann)
	// offered 1 partitions of attic
	// published mariadb 10.11 by ann
	// allocated db1 of ann to attic/p0 (mariadb) at 127.64.0.1
	// refused: no partition for db2: 1 computer: 1 full (exhausted)
}
