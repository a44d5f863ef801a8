package protocol_test

import (
	"errors"
	"testing"

	"github.com/slapmesh/slapmesh/protocol"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"4GiB": 4 << 30, "512MiB": 512 << 20, "1000": 1000, "0": 0, "256TiB": 1 << 48, "3KiB": 3072} {
		if got, err := protocol.ParseSize(text); got != want || err != nil {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "GiB", "-1", "+1GiB", "1.5GiB", "4GB", "257TiB", "9999999999999999999999", "1 GiB", "0x10", "\n"} {
		if n, err := protocol.ParseSize(text); !errors.Is(err, protocol.ErrInvalid) {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
	for n, want := range map[int64]string{0: "0", 1536 << 20: "1.5GiB", 1<<40 - 1: "1023GiB", 999: "999"} {
		if got := protocol.RoughSize(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	n := protocol.Needs{Millicores: 2500, Memory: 4 << 30, Disk: 1536 << 20}
	if got := n.String(); got != "2.5 cores, 4GiB memory, 1536MiB disk" {
		t.Error(got)
	}
}

func TestCores(t *testing.T) {
	for text, want := range map[string]int64{"2": 2000, "0.5": 500, "4096": 4_096_000, "1.001": 1001} {
		if got, err := protocol.ParseCores(text); got != want || err != nil {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-1", "1.0001", "4097", "1e3", "two", ".5", "1.", "10000"} {
		if n, err := protocol.ParseCores(text); !errors.Is(err, protocol.ErrInvalid) {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
}

func TestNeedsAreChecked(t *testing.T) {
	for _, n := range []protocol.Needs{{Millicores: -1}, {Memory: -1}, {Disk: protocol.MaxNeed + 1}, {Millicores: protocol.MaxMillicores + 1}} {
		in := protocol.RequestInput{Reference: "db1", Needs: n}
		if err := in.Check(); !errors.Is(err, protocol.ErrInvalid) {
			t.Errorf("%+v: %v", n, err)
		}
	}
}
