package relay_test

import (
	"errors"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh/relay"
)

// Nobody gets more than their part, nor all together more than there is, and
// what was closed makes room.
func TestLimits(t *testing.T) {
	now := time.Unix(0, 0)
	d := relay.NewDesk(relay.Limits{Rate: 1_000_000, Sessions: 3, PeerSessions: 2}, func() time.Time { return now })
	open := func(peer string) *relay.Session {
		t.Helper()
		s, err := d.Open(peer)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a1, a2, b := open("a"), open("a"), open("b")
	if _, err := d.Open("c"); !errors.Is(err, relay.ErrFull) {
		t.Errorf("fourth session: %v", err)
	}
	b.Close()
	b.Close()
	if _, err := d.Open("a"); !errors.Is(err, relay.ErrPeerFull) {
		t.Errorf("third session of a: %v", err)
	}
	b = open("b")

	carried := func(span time.Duration, sessions ...*relay.Session) (bytes int) {
		for end := now.Add(span); now.Before(end); now = now.Add(time.Millisecond) {
			for _, s := range sessions {
				for s.Pass(1000) {
					bytes += 1000
				}
			}
		}
		return bytes
	}
	const span = 10 * time.Second
	if got := carried(span, a1, a2); got < 4_900_000 || got > 5_200_000 {
		t.Errorf("a alone got %d bytes in %v", got, span)
	}
	if got := carried(span, a1, b); got < 9_700_000 || got > 10_400_000 {
		t.Errorf("a and b got %d bytes in %v", got, span)
	}
	now = now.Add(time.Hour) // who was silent for long has not saved it up
	if got := carried(time.Second, a1); got > 800_000 {
		t.Errorf("after an hour a got %d bytes in a second", got)
	}
	a1.Close()
	if a1.Pass(1) {
		t.Error("a closed session passes")
	}
	s := d.Stats()
	if s.Sessions != 2 || s.Opened != 4 || s.Refused != 2 || s.Bytes == 0 || s.Packets*1000 != s.Bytes || s.Dropped == 0 {
		t.Errorf("stats %+v", s)
	}
}
