package consensus

import (
	"math/rand/v2"
	"time"

	"github.com/hashicorp/raft"
)

// detect watches for a silent leader until the node is closed. Left to itself,
// raft looks only at random moments one to two Heartbeats apart, and notices a
// death after up to three; this has it look when the time is up.
func (n *Node) detect() {
	patience := n.cfg.Timing.Heartbeat
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case <-n.draining:
			return
		case <-timer.C:
		}
		next := patience
		if n.raft.State() == raft.Follower {
			if left := time.Until(n.raft.LastContact().Add(patience)); left > 0 {
				next = left + rand.N(patience/16) // voters that look together split the vote
			} else {
				n.lookNow()
			}
		}
		timer.Reset(next)
	}
}

// lookNow has a follower check now whether its leader was heard of lately.
// Raft does so when its Heartbeat is lowered while it runs.
func (n *Node) lookNow() {
	c := n.raft.ReloadableConfig()
	c.HeartbeatTimeout = n.cfg.Timing.Heartbeat + time.Microsecond
	err := n.raft.ReloadConfig(c)
	if err == nil {
		c.HeartbeatTimeout = n.cfg.Timing.Heartbeat
		err = n.raft.ReloadConfig(c)
	}
	if err != nil {
		n.cfg.Log.Warn("cannot hasten the election", "err", err)
	}
}
