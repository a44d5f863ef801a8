package meter

import (
	"bytes"
	"testing"

	"github.com/slapmesh/slapmesh/ledger"
)

func FuzzCheckpoint(f *testing.F) {
	for _, c := range []checkpoint{
		{Mesh: "m", Computer: "c", Open: period{Number: 1, From: noon}},
		{
			Mesh: "m", Computer: "c", Closed: &ledger.SignedUsage{Report: []byte("r"), Signature: []byte("s")},
			Open:    period{Number: 2, From: noon, Boot: "b", Opened: 1, Now: 2, Used: map[ledger.InstanceID]amount{1: {Core: 1, Memory: area{1, 2}}}},
			Samples: map[ledger.InstanceID]sample{1: {"b", 2, Reading{By: ByProcess, Tasks: []Task{{1, 2, 3, 4}}, Network: []Counter{{"a", 1}}}, 5}},
		},
	} {
		data, err := pack(checkpointHeader, c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := unpackCheckpoint(data)
		if err != nil {
			// A fuzzer does not guess checksums: try the rest with a right one.
			data, err = pack(checkpointHeader, rawCBOR(data))
			if err != nil {
				return
			}
			if c, err = unpackCheckpoint(data); err != nil {
				return
			}
		}
		again, err := pack(checkpointHeader, c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unpackCheckpoint(again); err != nil {
			t.Errorf("what was read is not what can be written: %v", err)
		}
	})
}

// rawCBOR is bytes that stand for themselves.
type rawCBOR []byte

func (r rawCBOR) MarshalCBOR() ([]byte, error) { return r, nil }

func FuzzReport(f *testing.F) {
	data, err := pack(reportHeader, ledger.SignedUsage{Report: []byte("r"), Signature: []byte("s")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(reportHeader))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s ledger.SignedUsage
		if unpack(reportHeader, data, &s) != nil {
			return
		}
		again, err := pack(reportHeader, s)
		if err != nil || !bytes.HasPrefix(again, []byte(reportHeader)) {
			t.Errorf("pack: %v", err)
		}
	})
}

func FuzzReportNumber(f *testing.F) {
	f.Add(reportFile(1))
	f.Add("open")
	f.Fuzz(func(t *testing.T, name string) {
		if n, ok := reportNumber(name); ok && reportFile(n) != name {
			t.Errorf("%q is report %d, whose file is %q", name, n, reportFile(n))
		}
	})
}
