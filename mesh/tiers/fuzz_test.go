package tiers_test

import (
	"bytes"
	"testing"

	"github.com/slapmesh/slapmesh/mesh/tiers"
)

// Whatever a peer sends is read, or refused.
func FuzzFrames(f *testing.F) {
	for _, frame := range tiers.Frames() {
		f.Add(frame)
	}
	f.Add([]byte("\x00\x00\x00\x01\xff"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		tiers.ReadFrames(bytes.NewReader(data))
	})
}

// A list arrives whole, whatever parts it comes in, however often they are
// sent again.
func FuzzLists(f *testing.F) {
	f.Add([]byte{1, 2, 3, 0x81, 2, 0x83, 7, 0xff, 9, 1, 0xfe})
	f.Fuzz(func(t *testing.T, steps []byte) {
		if err := tiers.ReplayList(steps[:min(len(steps), 512)]); err != nil {
			t.Error(err)
		}
	})
}
