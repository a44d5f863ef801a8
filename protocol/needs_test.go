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
	n := protocol.Needs{Millicores: 2500, Memory: 4 << 30, Disk: 1536 << 20, Bandwidth: 1e8}
	if got := n.String(); got != "2.5 cores, 4GiB memory, 1536MiB disk, 100Mbit bandwidth" {
		t.Error(got)
	}
}

func TestBandwidths(t *testing.T) {
	for text, want := range map[string]int64{"100Mbit": 1e8, "1Gbit/s": 1e9, "0bit": 0, "1500kbit": 1_500_000, "281Tbit": 281e12, "7bit": 7} {
		if got, err := protocol.ParseBandwidth(text); got != want || err != nil {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "bit", "Mbit", "-1Mbit", "+1Mbit", "1.5Mbit", "100", "100MB", "282Tbit", "9999999999999999999Gbit", "1 Mbit", "1Mbit/s/s", "/s"} {
		if n, err := protocol.ParseBandwidth(text); !errors.Is(err, protocol.ErrInvalid) {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
	for n, want := range map[int64]string{0: "0bit", 1e8: "100Mbit", 1_500_000: "1500kbit", 1e12: "1Tbit"} {
		if got := protocol.FormatBandwidth(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
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
	for _, n := range []protocol.Needs{{Millicores: -1}, {Memory: -1}, {Disk: protocol.MaxNeed + 1}, {Bandwidth: protocol.MaxNeed + 1}, {Bandwidth: -1}, {Millicores: protocol.MaxMillicores + 1}} {
		in := protocol.RequestInput{Reference: "db1", Needs: n}
		if err := in.Check(); !errors.Is(err, protocol.ErrInvalid) {
			t.Errorf("%+v: %v", n, err)
		}
	}
}
