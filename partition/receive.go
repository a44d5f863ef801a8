package partition

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/sandbox"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// Receive takes the data of an instance that moved here from the computer
// that has it. It is all or nothing.
type Receive struct {
	Instance ledger.Instance
	Profile  []byte
	Tree     string
	Progress func(string) // may be nil
}

// String names the instance and whose data it takes.
func (s Receive) String() string {
	return fmt.Sprintf("take the data of %s for %s in p%d", s.Instance.From, s.Instance.ID, s.Instance.Partition)
}

// Do takes the data.
func (s Receive) Do(ctx context.Context, h Host) (Result, error) { return Result{}, h.Receive(ctx, s) }

// A Mover brings the data of instances that move to this computer.
type Mover interface {
	// Take asks the computer that has it for the data that an instance here
	// is to have. Whatever is waited for meanwhile is told.
	Take(ctx context.Context, i ledger.Instance, waits func(string)) (Handed, error)
}

// Handed is the data of an instance on its way: a tar archive, which ends only
// where it is whole.
type Handed interface {
	io.ReadCloser
	Secrets() map[string]string
}

// received says whether an instance has the data that it was to take.
func (p Place) received(i ledger.Instance) bool { return i.From == 0 || p.From == i.From }

// planReceive takes the data of an instance that moved here, once what it runs
// is there.
func (p *planner) planReceive(i ledger.Instance) {
	shelf := p.have.Releases[i.Release]
	profile, ok := p.w.Profiles[i.Release]
	if shelf.Tree == "" || !ok {
		p.planBuild(i.Release)
		return
	}
	p.starts = append(p.starts, Receive{Instance: i, Profile: profile, Tree: shelf.Tree})
}

// receiving returns what the progress of a Receive is told to: about once a
// second is passed on.
func (a *Agent) receiving(n int) func(string) {
	return a.slowly(func(text string) {
		if place := a.have.Places[n]; place.Busy {
			place.Progress = text
			a.have.Places[n] = place
		}
	})
}

// finishReceive takes note of data that has come.
func (a *Agent) finishReceive(s Receive, e ending) {
	n := s.Instance.Partition
	place := a.have.Places[n]
	place.Busy, place.Progress = false, ""
	if e.err == nil {
		place.From, place.Trial = s.Instance.From, Trial{}
	}
	a.have.Places[n] = place
	a.failPlace(n, e)
}

// Receive implements [Host].
func (c *Computer) Receive(ctx context.Context, s Receive) error {
	i, folder := s.Instance, c.folder(s.Instance.Partition)
	if c.Mover == nil {
		return errors.New("there is no mesh here to take data from")
	}
	if err := c.claim(folder, i); err != nil {
		return err
	}
	progress := func(format string, args ...any) {
		if s.Progress != nil {
			s.Progress(fmt.Sprintf(format, args...))
		}
	}
	handed, err := c.Mover.Take(ctx, i, func(why string) { progress("its data is waited for: %s", why) })
	if err != nil {
		return fmt.Errorf("take its data: %w", err)
	}
	defer func() { _ = handed.Close() }()
	counted := &counter{Reader: handed, told: func(n int64) { progress("its data comes: %d MiB", n>>20) }}
	if err := c.idly(ctx, i, s.Tree, func(r *sandbox.Running) error { return r.Unpack(ctx, counted) }); err != nil {
		return fmt.Errorf("take its data: %w", err)
	}
	if err := writeJSON(secretsFile(folder), handed.Secrets()); err != nil {
		return err
	}
	return writeJSON(recordFile(folder), record{Instance: i.ID, Release: i.Release, From: i.From})
}

// Export writes the data of an instance that is stopped here, as a tar archive.
func (c *Computer) Export(ctx context.Context, i ledger.Instance, profile []byte, w io.Writer) error {
	tree, ok := c.Built(profile)
	if !ok {
		return errors.New("what it ran is not built there any more: supply it there again")
	}
	return c.idly(ctx, i, tree, func(r *sandbox.Running) error { return r.Pack(ctx, w) })
}

// Secrets returns the secrets of an instance that is here; those of one that
// never ran are none.
func (c *Computer) Secrets(i ledger.Instance) (map[string]string, error) {
	if err := c.holds(i); err != nil {
		return nil, err
	}
	s, err := openSecrets(c.folder(i.Partition))
	return maps.Clone(s.values), err
}

// idly does something with the data of a partition in which nothing runs: its
// supervisor, which is told nothing to run, does it within the walls, as the
// partition's user.
func (c *Computer) idly(ctx context.Context, i ledger.Instance, tree string, do func(*sandbox.Running) error) error {
	t, err := c.Store.Tree(tree)
	if err != nil {
		return err
	}
	running, err := c.Walls.Launch(ctx, sandbox.Partition{Folder: c.folder(i.Partition), Tree: t.Path, Limits: limitsOf(i.Needs), Disk: i.Needs.Disk})
	if err != nil {
		return err
	}
	defer func() { _ = running.Close() }()
	err = do(running)
	end := context.WithoutCancel(ctx) // what was launched here ends here
	if stop := running.Stop(end, 0); stop != nil && !errors.Is(stop, supervisor.ErrNotRunning) {
		err = errors.Join(err, stop, running.Kill())
	}
	return errors.Join(err, running.Wait(end))
}

// A counter tells how much was read.
type counter struct {
	io.Reader
	n    int64
	told func(int64)
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += int64(n)
	c.told(c.n)
	return n, err
}
