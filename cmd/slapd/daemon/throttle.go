package daemon

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
)

// A member may ask a lot of a voter: each command that it proposes is written
// on every voter's disk, decided or refused, and each time that it begins to
// follow its slice the whole of it is read. Those who may not keep the ledger
// themselves, whose word is worth less, are held to a rate; it is far above
// what a computer needs. The others could do worse than ask.

// A rate is how many a second, and how many at once after a pause.
type rate struct{ each, burst float64 }

var (
	callRate  = rate{500, 5000} // calls of any kind
	watchRate = rate{2, 30}     // slices begun
)

// maxThrottled bounds how many peers are told apart.
const maxThrottled = 8192

// A throttle holds each peer to a rate. Its zero value is ready.
type throttle struct {
	mu    sync.Mutex
	peers map[mesh.PeerID]*allowance
}

type allowance struct {
	left float64
	at   time.Time
}

// take lets one more event of a peer through.
func (t *throttle) take(peer mesh.PeerID, r rate, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.peers[peer]
	if a == nil {
		if t.peers == nil || len(t.peers) >= maxThrottled {
			t.peers = map[mesh.PeerID]*allowance{}
		}
		a = &allowance{r.burst, now}
		t.peers[peer] = a
	}
	a.left = min(r.burst, a.left+r.each*max(0, now.Sub(a.at).Seconds()))
	a.at = now
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}

// throttled serves calls of other peers, each held to its rates.
func (d *Daemon) throttled(next http.Handler) http.Handler {
	var calls, watches throttle
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer := callerOf(r)
		p, _ := d.books.View().Peer(ledger.PeerID(peer))
		now := d.cfg.Clock()
		if p.Role != ledger.RoleVoter && (!calls.take(peer, callRate, now) ||
			strings.HasPrefix(r.URL.Path, "/ledger/v1/watch") && !watches.take(peer, watchRate, now)) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, fmt.Sprintf("too many calls: a peer that may not keep the ledger makes at most %.0f a second", callRate.each), http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}
