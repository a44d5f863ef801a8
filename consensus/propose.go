package consensus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hashicorp/raft"
)

// A queue collects proposals while the group before them is being committed.
type queue struct {
	// Set once.
	maxGroup, maxBytes, maxWaiting int
	wake                           chan struct{} // receives when waiting is no longer empty

	mu         sync.Mutex
	waiting    []*proposal
	commands   int  // of those that wait
	committing bool // a group is on its way
	closed     bool
}

// A proposal is commands that stay together, and who waits for the replies.
type proposal struct {
	commands [][]byte
	size     int          // of all of them, in bytes
	settled  chan outcome // receives once
}

// An outcome is what became of a proposal.
type outcome struct {
	index   uint64
	replies [][]byte
	err     error
}

func newQueue(cfg Config) *queue {
	return &queue{
		maxGroup:   cfg.MaxGroup,
		maxBytes:   cfg.MaxGroupBytes,
		maxWaiting: cfg.MaxWaiting,
		wake:       make(chan struct{}, 1),
	}
}

// put adds a proposal to those that wait.
func (q *queue) put(p *proposal) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return ErrClosed
	case p.size > q.maxBytes:
		return fmt.Errorf("%d bytes: %w", p.size, ErrTooLarge)
	case len(p.commands) > q.maxGroup:
		return fmt.Errorf("%d commands: %w", len(p.commands), ErrTooLarge)
	case q.commands >= q.maxWaiting:
		return ErrBusy
	}
	q.waiting = append(q.waiting, p)
	q.commands += len(p.commands)
	if len(q.waiting) == 1 {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// withdraw takes back a proposal, and reports whether it still waited.
func (q *queue) withdraw(p *proposal) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, p)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	q.commands -= len(p.commands)
	return true
}

// take returns the next group, oldest first, or nothing.
func (q *queue) take() []*proposal {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, count, size := 0, 0, 0
	for ; n < len(q.waiting); n++ {
		p := q.waiting[n]
		if count+len(p.commands) > q.maxGroup || size+p.size > q.maxBytes {
			break
		}
		count, size = count+len(p.commands), size+p.size
	}
	q.commands -= count
	group := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	if len(q.waiting) == 0 {
		q.waiting = nil
	}
	q.committing = n > 0
	return group
}

// busy reports whether a group is on its way or about to be.
func (q *queue) busy() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.committing || len(q.waiting) > 0
}

// close refuses further proposals and returns those that wait.
func (q *queue) close() []*proposal {
	q.mu.Lock()
	defer q.mu.Unlock()
	rest := q.waiting
	q.waiting, q.commands, q.closed = nil, 0, true
	return rest
}

// Propose has a command ordered and applied, and returns the index of its log
// entry and the machine's reply. Only the leader does so; others return a
// [*NotLeaderError]. The node keeps command; the caller must not change it.
//
// There is no timer: a command leaves at once if no group is on its way, and
// with all that came meanwhile when that one is committed.
func (n *Node) Propose(ctx context.Context, command []byte) (index uint64, reply []byte, err error) {
	index, replies, err := n.ProposeAll(ctx, [][]byte{command})
	if err != nil {
		return 0, nil, err
	}
	return index, replies[0], nil
}

// ProposeAll is [Node.Propose] for several commands, which get into one log
// entry in their order, or none does: together they may be as many and as large
// as a group.
func (n *Node) ProposeAll(ctx context.Context, commands [][]byte) (index uint64, replies [][]byte, err error) {
	if err := n.leads(); err != nil {
		return 0, nil, fmt.Errorf("propose: %w", err)
	}
	p := &proposal{commands: commands, settled: make(chan outcome, 1)}
	for _, c := range commands {
		p.size += len(c)
	}
	if err := n.queue.put(p); err != nil {
		return 0, nil, fmt.Errorf("propose: %w", err)
	}
	select {
	case o := <-p.settled:
		return o.index, o.replies, o.err
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-n.store.Broken(): // raft may hang with it
		err = &NotLeaderError{}
	}
	if !n.queue.withdraw(p) {
		err = fmt.Errorf("%w: %w", ErrAmbiguous, errors.Join(context.Cause(ctx), n.store.Err()))
	}
	return 0, nil, fmt.Errorf("propose: %w", err)
}

// Hasten has a peer learn at once what is committed by now, for somebody there
// waits for it. It does nothing unless this node leads.
func (n *Node) Hasten(peer string) { n.wire.hasten(peer) }

// commit proposes groups to raft, one at a time, until the node is closed. It
// starts the next before it hands out the replies of the last.
func (n *Node) commit() {
	for {
		group := n.queue.take()
		if len(group) == 0 {
			select {
			case <-n.queue.wake:
				continue
			case <-n.draining:
				return
			}
		}
		for len(group) > 0 {
			future, err := n.propose(group)
			if err == nil {
				err = n.explain(future.Error())
			}
			done := group
			if group = n.queue.take(); len(group) == 0 && err == nil {
				n.wire.announce()
			}
			n.settle(done, future, err)
		}
	}
}

// propose hands a group to raft.
func (n *Node) propose(group []*proposal) (raft.ApplyFuture, error) {
	commands := group[0].commands
	if len(group) > 1 {
		commands = slices.Concat(commandsOf(group)...)
	}
	data, err := n.codec.encode(n.cfg.Clock(), commands)
	if err != nil {
		return nil, err
	}
	return n.raft.Apply(data, 0), nil
}

func commandsOf(group []*proposal) [][][]byte {
	all := make([][][]byte, len(group))
	for i, p := range group {
		all[i] = p.commands
	}
	return all
}

// settle tells the proposers of a group what became of it.
func (n *Node) settle(group []*proposal, future raft.ApplyFuture, err error) {
	if err != nil {
		refuse(group, fmt.Errorf("propose: %w", err))
		return
	}
	replies, _ := future.Response().([][]byte) // one for each: fsm has checked
	index := future.Index()
	for _, p := range group {
		n := len(p.commands)
		p.settled <- outcome{index: index, replies: replies[:n:n]}
		replies = replies[n:]
	}
}

func refuse(group []*proposal, err error) {
	for _, p := range group {
		p.settled <- outcome{err: err}
	}
}

// explain translates what raft returns for an entry.
func (n *Node) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return &NotLeaderError{Leader: n.otherLeader()}
	case errors.Is(err, raft.ErrRaftShutdown):
		return fmt.Errorf("%w: %w", ErrAmbiguous, ErrClosed)
	}
	return fmt.Errorf("%w: %w", ErrAmbiguous, err)
}
