package frame_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/mesh/frame"
)

func Example() {
	var wire bytes.Buffer
	if err := frame.Write(&wire, map[string]int{"b": 2, "a": 1}); err != nil {
		panic(err)
	}
	fmt.Printf("%x\n", wire.Bytes())
	var got map[string]int
	fmt.Println(frame.Read(&wire, 64, &got), got)
	// Output:
	// 00000007a2616101616202
	// <nil> map[a:1 b:2]
}

// Nothing is allocated for what is not there, and nothing taken that is too
// much.
func TestRead(t *testing.T) {
	for name, tc := range map[string]struct{ wire, want string }{
		"too long":       {"\x00\x00\x01\x00", "256 bytes, at most 64 are allowed"},
		"very long":      {"\xff\xff\xff\xff", "at most 64 are allowed"},
		"cut off":        {"\x00\x00\x00\x03\x82\x01", "unexpected EOF"},
		"no length":      {"\x00\x00", "unexpected EOF"},
		"no known end":   {"\x00\x00\x00\x03\x9f\x01\xff", "indefinite-length"},
		"a huge array":   {"\x00\x00\x00\x05\x9a\xff\xff\xff\xff", "exceeded max number of elements"},
		"nested":         {"\x00\x00\x00\x0a\x81\x81\x81\x81\x81\x81\x81\x81\x81\x80", "exceeded max nested level"},
		"tagged":         {"\x00\x00\x00\x02\xc1\x00", "tag"},
		"more than that": {"\x00\x00\x00\x02\x00\x00", "extraneous data"},
	} {
		t.Run(name, func(t *testing.T) {
			var v any
			if err := frame.Read(strings.NewReader(tc.wire), 64, &v); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// What was read is written again in its one form.
func FuzzRead(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x07\xa2aa\x01ab\x02"))
	f.Add([]byte("\x00\x00\x00\x01\x80"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		var v, again any
		if frame.Read(bytes.NewReader(wire), 1<<10, &v) != nil {
			return
		}
		var out bytes.Buffer
		if err := frame.Write(&out, v); err != nil {
			return // a map with a key that Go cannot have, or not a number
		}
		first := out.String()
		if err := frame.Read(&out, 1<<11, &again); err != nil {
			t.Fatal(err)
		}
		if err := frame.Write(&out, again); err != nil || out.String() != first {
			t.Errorf("%x became %x: %v", first, out.Bytes(), err)
		}
	})
}
