package partition

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// A release that fails makes room for the one before, which runs again with
// its own parameters until something else is wanted; one that fails without a
// release before stays what it is.
func TestReturnToWhatWasGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNode()
		n.broken = map[ledger.ReleaseDigest]string{"r2": "promise answers: 500"}
		for _, r := range []string{"r1", "r2", "r3"} {
			n.trees["tree of "+r] = true
		}
		defer n.run(t)()
		n.want(7, 0, "r1", ledger.InstanceStarted)
		n.expect(t, "0s look, 0s start p0", "0s i7 starting, 0s i7 started url1")
		n.want(7, 0, "r2", ledger.InstanceStarted)
		n.expect(t, "0s stop p0, 0s start p0, 0s stop p0, 0s start p0",
			"0s i7 starting, "+
				"0s i7 starting (the release before is started again, for r2 failed: promise answers: 500), "+
				"0s i7 error (the release before runs again, for r2 failed: promise answers: 500) url2")
		if got := n.running[0].instance.Release; got != "r1" {
			t.Errorf("it runs %s", got)
		}
		time.Sleep(time.Hour)
		n.expect(t, "", "")

		// A bang does not try again; a new wish does, and works now.
		n.order(7, func(i *ledger.Instance) { i.Generation--; i.Stamp = time.Now() })
		n.expect(t, "0s start p0", "")
		n.broken = nil
		n.order(7, func(i *ledger.Instance) { i.Stamp = i.Stamp.Add(time.Microsecond) })
		n.expect(t, "0s stop p0, 0s start p0", "0s i7 starting, 0s i7 started url3")
		if got := n.running[0].instance.Release; got != "r2" {
			t.Errorf("it runs %s", got)
		}

		// Nothing was good before.
		n.broken = map[ledger.ReleaseDigest]string{"r3": "promise answers: 404"}
		n.want(8, 1, "r3", ledger.InstanceStarted)
		n.expect(t, "0s start p1", "0s i8 starting, 0s i8 error (promise answers: 404)")

		// What cannot even be started makes room as well.
		n.fails["start p0"] = 3
		n.order(7, func(i *ledger.Instance) { i.Release, i.Stamp = "r1", i.Stamp.Add(time.Microsecond) })
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := n.running[0].instance.Release; got != "r2" {
			t.Errorf("it runs %s", got)
		}
	})
}
