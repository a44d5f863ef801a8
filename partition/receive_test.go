package partition

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// An instance that moved takes its data before it starts, again as a whole if
// that failed, and once; also while it is to be stopped.
func TestAgentTakesData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNode()
		n.trees["tree of r1"] = true
		n.fails["receive i3 in p0"] = 1
		defer n.run(t)()
		moved := func(id ledger.InstanceID, partition int, state ledger.InstanceState) {
			n.order(id, func(i *ledger.Instance) {
				i.Partition, i.Release, i.Requested, i.From, i.FromComputer = partition, "r1", state, 3, "elsewhere"
			})
		}
		moved(7, 0, ledger.InstanceStarted)
		time.Sleep(10 * time.Second)
		n.expect(t, "0s look, 0s receive i3 in p0, 1s receive i3 in p0, 1s start p0",
			"0s i7 starting, 0s i7 starting (cannot receive i3 in p0), 1s i7 starting, 1s i7 started url1")
		n.order(7, func(i *ledger.Instance) { i.From, i.FromComputer = 0, "" })
		time.Sleep(time.Hour)
		n.expect(t, "0s start p0", "0s i7 starting, 0s i7 started url2")

		moved(8, 1, ledger.InstanceStopped)
		n.expect(t, "0s receive i3 in p1", "0s i8 stopped")
		moved(8, 1, ledger.InstanceStarted)
		n.expect(t, "0s start p1", "0s i8 starting, 0s i8 started url2")

		// Wanted no more, it is not waited for.
		n.takes["receive i3 in p2"] = time.Hour
		moved(9, 2, ledger.InstanceStarted)
		n.expect(t, "0s receive i3 in p2", "0s i9 starting, 0s i9 starting (its data comes: 1 MiB)")
		moved(9, 2, ledger.InstanceDestroyed)
		n.expect(t, "0s receive i3 in p2: cancelled, 0s destroy p2", "0s i9 stopping, 0s i9 destroyed")
	})
}

// A parcel is data on its way, and what is with it.
type parcel struct {
	io.Reader
	secrets map[string]string
}

func (p parcel) Secrets() map[string]string { return p.secrets }
func (parcel) Close() error                 { return nil }

// A courier is a Mover that has all that others had.
type courier func(i ledger.Instance) (Handed, error)

func (c courier) Take(_ context.Context, i ledger.Instance, _ func(string)) (Handed, error) {
	return c(i)
}

// What an instance had is with the one that takes its place, on another
// computer: the data, what was done once, and the secrets.
func TestDataMoves(t *testing.T) {
	from, to := newSite(t), newSite(t)
	stop := from.node.runOn(t, from.computer)
	from.request(1, ledger.InstanceStarted, "")
	was := from.untilState(1, ledger.InstanceStarted)
	from.request(1, ledger.InstanceStopped, "")
	from.untilState(1, ledger.InstanceStopped)

	cut := true
	to.computer.Mover = courier(func(i ledger.Instance) (Handed, error) {
		if i.From != 1 || i.FromComputer != "there" {
			return nil, errors.New("nobody has that")
		}
		secrets, err := from.computer.Secrets(was)
		if err != nil {
			return nil, err
		}
		var data bytes.Buffer
		if err := from.computer.Export(t.Context(), was, from.node.profiles[from.release], &data); err != nil {
			return nil, err
		}
		if cut {
			cut = false
			return parcel{io.MultiReader(io.LimitReader(&data, int64(data.Len()/2)), iotest.ErrReader(io.ErrUnexpectedEOF)), secrets}, nil
		}
		return parcel{&data, secrets}, nil
	})
	defer to.node.runOn(t, to.computer)()
	to.node.order(2, func(i *ledger.Instance) {
		i.Release, i.Requested, i.Reference, i.Partition, i.Address = to.release, ledger.InstanceStarted, "web", 3, was.Address
		i.From, i.FromComputer = 1, "there"
	})
	now := to.untilState(2, ledger.InstanceStarted)
	if was.Connection["url"] != now.Connection["url"] {
		t.Errorf("it was at %s and is at %s: another password", was.Connection["url"], now.Connection["url"])
	}
	var out bytes.Buffer
	if _, err := to.computer.Exec(t.Context(), now, supervisor.Exec{Argv: []string{"probe", "read", "/data/data/installed"}, Stdout: &out, Stderr: &out}); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("installed: %q, %v: once wanted", out.String(), err)
	}
	stop()
}
