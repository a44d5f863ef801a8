package partition

import (
	"fmt"
	"strings"
	"testing"
)

func TestCountOf(t *testing.T) {
	for said, want := range map[string]uint64{
		"0": 0, "12\n": 12, " 12 \r\n": 12, "9223372036854775807": 1<<63 - 1,
	} {
		if n, err := countOf([]byte(said)); n != want || err != nil {
			t.Errorf("%q: %d, %v, want %d", said, n, err, want)
		}
	}
	for _, said := range []string{"", "\n", "-1", "+1", "1.0", "1e3", "0x10", "1_000", "1 2", "total 12", "9223372036854775808", strings.Repeat("1", 5000)} {
		if n, err := countOf([]byte(said)); err == nil {
			t.Errorf("%.20q is read as %d", said, n)
		}
	}
}

func TestBrief(t *testing.T) {
	var b brief
	for range 100 {
		if n, err := fmt.Fprint(&b, strings.Repeat("x", 300)); n != 300 || err != nil {
			t.Fatal(n, err)
		}
	}
	if len(b.said) != briefSize {
		t.Errorf("%d bytes are kept", len(b.said))
	}
}
