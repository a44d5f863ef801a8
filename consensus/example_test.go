package consensus_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/slapmesh/slapmesh/consensus"
	"github.com/slapmesh/slapmesh/consensus/consensustest"
)

func Example() {
	dir, err := os.MkdirTemp("", "consensus")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	network, state := consensustest.NewNetwork(0), &consensustest.Register{}
	node, err := consensus.Open(consensus.Config{Peer: "ann", Seat: 1, Dir: dir}, network.Transport("ann"), state)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = node.Close() }()
	changed, stop := node.Watch()
	defer stop()
	if err := node.Bootstrap(); err != nil {
		log.Fatal(err)
	}
	for node.Status().State != consensus.StateLeader {
		<-changed
	}
	if _, _, err := node.Propose(context.Background(), []byte("hello")); err != nil {
		log.Fatal(err)
	}
	fmt.Println(state.Commands(), node.Status().Voters)
	// Output: [hello] [ann]
}
