package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/partition"
	"github.com/slapmesh/slapmesh/partition/handover"
	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/partition/taste"
)

// A mover carries the data of instances that move: what is stopped here to the
// computer where it goes on, and what goes on here from where it was.
type mover struct {
	*Daemon
	computer *partition.Computer
}

// handoverRest is how long who waits for an instance to stop is let wait
// before it is looked at again.
const handoverRest = 500 * time.Millisecond

// openHandover gives the data of instances that moved away to those computers.
func (d *Daemon) openHandover(context.Context) error {
	if d.metered == nil {
		return nil // the computer is not a real one
	}
	m := &mover{d, d.metered.Computer}
	streams := d.mesh.Listen(mesh.KindHandover)
	giver := handover.Giver{Find: m.find, Clock: d.cfg.Clock, Rest: restFor(handoverRest), Log: d.log.With("part", "handover")}
	d.loops = append(d.loops, loop{"instances for others", func(ctx context.Context) error { return giver.Serve(ctx, streams) }})
	return nil
}

// restFor returns what waits for a while.
func restFor(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		}
	}
}

// find returns the data of an instance for the computer where the ledger says
// that it goes on.
func (m *mover) find(ctx context.Context, to net.Conn, instance, successor uint64) (handover.Content, string, error) {
	v, self := m.books.View(), ledger.ComputerID(m.mesh.Self())
	i, ok := v.Instance(ledger.InstanceID(instance))
	switch {
	case !ok || i.Settled() || i.Computer != self:
		return handover.Content{}, "", fmt.Errorf("instance i%d is not there any more", instance)
	case i.Moved != ledger.InstanceID(successor) || i.MovedTo != ledger.ComputerID(mesh.PeerOf(to)):
		return handover.Content{}, "", fmt.Errorf("instance %s does not move to you", i.ID)
	case i.Requested == ledger.InstanceDestroyed:
		return handover.Content{}, "", fmt.Errorf("instance %s is being destroyed", i.ID)
	case i.Requested != ledger.InstanceStopped || i.State != ledger.InstanceStopped:
		return handover.Content{}, "it stops where it was", nil
	}
	secrets, err := m.computer.Secrets(i)
	if errors.Is(err, partition.ErrNotHere) { // it never ran
		return handover.Content{Archive: func(context.Context, io.Writer) error { return nil }}, "", nil
	}
	if err != nil {
		return handover.Content{}, "", err
	}
	profile, err := m.profile(ctx, i.Release)
	if err != nil {
		return handover.Content{}, "", err
	}
	return handover.Content{Secrets: secrets, Archive: func(ctx context.Context, w io.Writer) error {
		return m.computer.Export(ctx, i, profile, w)
	}}, "", nil
}

// Take implements [partition.Mover].
func (m *mover) Take(ctx context.Context, i ledger.Instance, waits func(string)) (partition.Handed, error) {
	conn, err := m.mesh.Dial(ctx, mesh.PeerID(i.FromComputer), mesh.KindHandover)
	if err != nil {
		return nil, fmt.Errorf("from %.12s: %w", string(i.FromComputer), err)
	}
	taken, err := handover.Take(ctx, conn, m.cfg.Clock, uint64(i.From), uint64(i.ID), waits)
	if err != nil {
		return nil, fmt.Errorf("from %.12s: %w", string(i.FromComputer), err)
	}
	return handed{taken}, nil
}

// handed is a [handover.Taken] as the partitions see it.
type handed struct{ *handover.Taken }

// Secrets implements [partition.Handed].
func (h handed) Secrets() map[string]string { return h.Taken.Secrets }

// movable says why the data of an instance cannot move: its profile must say
// that it may.
func (d *Daemon) movable(ctx context.Context, v *ledger.State, i ledger.Instance) error {
	r, err := d.loaded(ctx, i.Release)
	if err != nil {
		return err
	}
	profile, err := d.profile(ctx, i.Release)
	if err != nil {
		return err
	}
	in := release.Input{
		Type: i.Type, Parameters: i.Parameters, Reference: string(i.Reference), Address: i.Address,
		Secret: func(name string) string { return taste.Secret(nil, "nobody sees this", name) }, Children: map[string]release.Child{},
	}
	tried := taste.Input{Type: in.Type, Parameters: in.Parameters, Reference: in.Reference, Address: in.Address, Children: in.Children}
	for c := range v.Children(i.ID) {
		if !c.Settled() && len(c.Connection) > 0 {
			in.Children[string(c.Reference)] = release.Child{Published: c.Connection}
		}
	}
	if err := d.taster.Taste(profile, &tried); err != nil {
		return err
	}
	desired, err := r.Evaluate(in)
	if err != nil {
		return err
	}
	return desired.Movable()
}
