package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// A memHost is a computer whose partitions are in memory. Like real ones they
// outlive the daemon.
type memHost struct {
	mu      sync.Mutex
	trees   map[string]bool
	data    map[int]ledger.Instance // what each partition holds
	running map[int]*memSupervisor
	faults  []string // what must never be asked of a computer
}

type memSupervisor struct {
	instance ledger.Instance
	status   supervisor.Status
	changed  chan struct{} // closed at the next change
	gone     bool
}

var _ partition.Host = (*memHost)(nil)

func newMemHost() *memHost {
	return &memHost{trees: map[string]bool{}, data: map[int]ledger.Instance{}, running: map[int]*memSupervisor{}}
}

// runs returns the instances that run, by partition.
func (h *memHost) runs() map[int]ledger.InstanceID {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[int]ledger.InstanceID{}
	for n, s := range h.running {
		out[n] = s.instance.ID
	}
	return out
}

func (h *memHost) Look(context.Context) (map[int]partition.Place, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[int]partition.Place{}
	for n, i := range h.data {
		out[n] = partition.Place{Instance: i.ID}
		if s := h.running[n]; s != nil {
			out[n] = partition.Place{Instance: i.ID, Running: true, Release: s.instance.Release}
		}
	}
	return out, nil
}

func treeOf(profile []byte) string { return "tree of " + string(ledger.DigestOf(profile)) }

func (h *memHost) Built(profile []byte) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.trees[treeOf(profile)] {
		return "", false
	}
	return treeOf(profile), true
}

func (h *memHost) Build(_ context.Context, profile []byte, progress func(string)) (string, error) {
	progress("unpacking")
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trees[treeOf(profile)] = true
	return treeOf(profile), nil
}

func (h *memHost) Drop(_ context.Context, tree string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.trees, tree)
	return nil
}

func (h *memHost) Start(_ context.Context, start partition.Start) (partition.Result, error) {
	i, tree := start.Instance, start.Tree
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.trees[tree] {
		return partition.Result{}, errors.New("the tree is not here")
	}
	if was, ok := h.data[i.Partition]; ok && was.ID != i.ID {
		h.faults = append(h.faults, fmt.Sprintf("start %s in p%d, which holds %s", i.ID, i.Partition, was.ID))
		return partition.Result{}, errors.New("the partition is taken")
	}
	h.data[i.Partition] = i
	s := h.running[i.Partition]
	if s == nil {
		s = &memSupervisor{changed: make(chan struct{})}
		h.running[i.Partition] = s
	}
	s.instance = i
	spec := fmt.Sprintf("spec %d", i.Generation)
	s.set(supervisor.Status{Phase: supervisor.PhaseStarted, Healthy: true, Spec: spec})
	return partition.Result{Spec: spec, Connection: map[string]string{"url": "memory://" + i.Address.String()}}, nil
}

func (h *memHost) Receive(_ context.Context, s partition.Receive) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.data[s.Instance.Partition] = s.Instance
	return nil
}

func (s *memSupervisor) set(st supervisor.Status) {
	s.status = st
	close(s.changed)
	s.changed = make(chan struct{})
}

func (h *memHost) Stop(_ context.Context, n int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopLocked(n)
	return nil
}

func (h *memHost) stopLocked(n int) {
	if s := h.running[n]; s != nil {
		s.gone = true
		s.set(s.status)
		delete(h.running, n)
	}
}

func (h *memHost) Destroy(_ context.Context, n int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopLocked(n)
	delete(h.data, n)
	return nil
}

func (h *memHost) Watch(ctx context.Context, n int, f func(supervisor.Status)) error {
	h.mu.Lock()
	s := h.running[n]
	h.mu.Unlock()
	if s == nil {
		return supervisor.ErrNotRunning
	}
	for {
		h.mu.Lock()
		status, changed, gone := s.status, s.changed, s.gone
		h.mu.Unlock()
		if gone {
			return io.EOF
		}
		f(status)
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (h *memHost) Logs(_ context.Context, i ledger.Instance, _ bool) (io.ReadCloser, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.data[i.Partition].ID != i.ID {
		return nil, partition.ErrNotHere
	}
	return io.NopCloser(strings.NewReader(fmt.Sprintf("%s runs\n", i.Reference))), nil
}

func (h *memHost) Exec(_ context.Context, i ledger.Instance, e supervisor.Exec) (int, error) {
	h.mu.Lock()
	have := maps.Clone(h.data)
	h.mu.Unlock()
	if have[i.Partition].ID != i.ID {
		return 0, partition.ErrNotHere
	}
	_, err := fmt.Fprintln(e.Stdout, strings.Join(e.Argv, " "))
	return 7, err
}
