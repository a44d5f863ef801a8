package daemon

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// TestBandwidth has two connections of one instance share what it asked for,
// in each direction, and ends one that waits.
func TestBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p paces
		i := ledger.Instance{ID: 1, Needs: ledger.Needs{Bandwidth: 8_000_000}} // a megabyte a second
		v := ledger.NewState()
		begun := time.Now()
		ended := make(chan struct{})
		const each = 2_000_000
		for range 2 {
			ours, theirs := net.Pipe()
			c := p.hold(ours, i, v, time.Now)
			go func() {
				_, _ = theirs.Write(make([]byte, each))
				_ = theirs.Close()
			}()
			go func() {
				if n, err := io.Copy(io.Discard, c); n != each || err != nil {
					t.Errorf("%d bytes, %v", n, err)
				}
				ended <- struct{}{}
			}()
		}
		<-ended
		<-ended
		if took := time.Since(begun); took < 3500*time.Millisecond || took > 4200*time.Millisecond {
			t.Errorf("4 MB at 1 MB/s take %v", took)
		}

		ours, theirs := net.Pipe()
		c := p.hold(ours, i, v, time.Now)
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		begun = time.Now()
		time.AfterFunc(time.Second, func() { _ = c.Close() })
		if n, err := c.Write(make([]byte, 100_000_000)); err == nil || n < 900_000 || n > 1_300_000 {
			t.Errorf("%d bytes were written within a second, %v", n, err)
		}
		if took := time.Since(begun); took > 1100*time.Millisecond {
			t.Errorf("it ended after %v", took)
		}
		_ = theirs.Close()

		if c := p.hold(ours, ledger.Instance{ID: 2}, v, time.Now); c != ours {
			t.Error("an instance without a bandwidth is held to one")
		}
	})
}
