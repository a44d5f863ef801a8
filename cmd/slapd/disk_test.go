package main_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/protocol"
)

// A voter that cannot write its log any more says so and ends, for it cannot
// keep what it promised; once there is room it goes on with all that it
// acknowledged.
func TestLogDiskIsFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newNetwork(t))
	_, mount := w.smallDisk("consensus")
	mount(0, "size=20m,mode=0700")
	a := w.mesh("10", "a")[0]
	kept := 0
	for kept < 200 {
		if err := a.publish(kept); err != nil {
			t.Logf("after %d: %v", kept, err)
			break
		}
		kept++
	}
	if kept == 0 || kept == 200 {
		t.Fatalf("the disk took %d releases", kept)
	}
	if code := a.ended(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	words := a.lastWords(20)
	for _, want := range []string{
		"no space left on device",
		"level=ERROR msg=\"gave up the log: its disk failed\"",
		"slapd init: log: the disk of " + a.dir + " failed, is full, or hangs, so this peer keeps the ledger no longer: ",
	} {
		if !strings.Contains(words, want) {
			t.Errorf("it does not say %q:\n%s", want, words)
		}
	}

	mount(unix.MS_REMOUNT, "size=1g")
	a = w.start("a", "run").up()
	w.until("all that was acknowledged is there", func() error {
		all, err := a.Releases(t.Context())
		there := map[string]bool{}
		for _, r := range all {
			there[r.Name] = true
		}
		for n := range kept {
			if name := fmt.Sprintf("big%d", n); err == nil && !there[name] {
				err = fmt.Errorf("%s of %d is not", name, kept)
			}
		}
		return err
	})
	if err := a.publish(kept + 1); err != nil {
		t.Errorf("the peer does not go on: %v", err)
	}
}

// publish has the mesh keep a release of half a megabyte.
func (p *peer) publish(n int) error {
	text := fmt.Sprintf("release(name = \"big%d\", version = \"1\", title = \"Big\", sources = [debian(\"memcached\")])\n\ndef instance(i):\n    pass\n", n)
	bundle, err := release.NewBundle(map[string][]byte{
		"release.star": []byte(text),
		"padding":      bytes.Repeat([]byte("0123456789abcde\n"), 32<<10),
	})
	if err != nil {
		return err
	}
	_, err = p.Publish(p.w.Context(), protocol.PublishInput{Profile: bundle.Encode()})
	return err
}
