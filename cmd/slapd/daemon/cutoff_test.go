package daemon

import (
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/protocol"
)

// TestMemberCutOff is about a member that reaches no voter and is asked for
// releases that it never read.
func TestMemberCutOff(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a := w.found(FoundOptions{}, 2)
		w.eventually(10*time.Second, "a quorum", func() bool { return a.status().Quorum && a.status().Account != "" })
		own, err := release.NewBundle(map[string][]byte{"release.star": []byte(`release(name = "mine", version = "1", title = "Mine", sources = [debian("memcached")])

def instance(i):
    pass
`)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.ask().Publish(t.Context(), protocol.PublishInput{Profile: own.Encode()}); err != nil {
			t.Fatal(err)
		}
		if _, err := a.ask().Request(t.Context(), protocol.RequestInput{Reference: "x", Release: "memcached"}); err != nil {
			t.Fatal(err)
		}
		b := w.join(a, a.token(protocol.TokenInput{Role: protocol.RoleComputer}), 2)
		w.eventually(time.Minute, "b knows the releases", func() bool {
			n := 0
			for range b.view().Releases() {
				n++
			}
			return n == 2
		})
		w.net.move(b.address(), 1)
		ask := func(name string) (time.Duration, error) {
			begin := time.Now()
			_, err := b.ask().Request(t.Context(), protocol.RequestInput{Reference: name, Release: name})
			return time.Since(begin), err
		}
		took, err := ask("mine")
		says(t, err, protocol.ErrUnavailable, "nothing has happened")
		if took > leaderPatience+callDetection {
			t.Errorf("unaware of it, b refuses after %v", took)
		}
		w.logf("b, cut off and unaware of it, refuses after %v: %v", took, err)
		d, _ := b.running()
		w.eventually(gossipDetection, "b notices", d.books.hopeless)
		for _, name := range []string{"mine", "memcached", "redis"} {
			took, err := ask(name)
			w.checkRefusal(b, took, err)
		}
	})
}
