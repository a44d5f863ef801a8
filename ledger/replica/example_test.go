package replica_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/replica"
)

// A replica proposes to the log that drives it, and reads its own copy.
func Example() {
	r := replica.New(replica.Config{})
	r.Attach(&soloLog{machine: r, at: noon})

	ctx := context.Background()
	out, err := r.Propose(ctx, ledger.System(), ledger.Found{
		Rules: ledger.CurrentRules, Secret: make([]byte, 32),
		Name: "home", ID: "m1", Account: "ann", Peer: "p1", PeerName: "attic", PublicKey: []byte{1},
	})
	fmt.Println(out.Index, err)

	_, err = r.Propose(ctx, ledger.AsPeer("p1"), ledger.SetState{Reference: "db1", State: ledger.InstanceStopped})
	fmt.Println(err, errors.Is(err, ledger.ErrNotFound))

	mesh, _ := r.View().Mesh()
	fmt.Println(mesh.Name)
	// Output:
	// 1 <nil>
	// instance "db1" of ann is not known true
	// home
}
