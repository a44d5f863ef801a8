package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// exported returns an export of a journal with checkpoints.
func exported(tb testing.TB, from, to uint64, checkpoints ...uint64) []byte {
	tb.Helper()
	j, err := Open(tb.TempDir(), Options{})
	if err != nil {
		tb.Fatal(err)
	}
	add(tb, j, 1, 300)
	for _, size := range checkpoints {
		if err := j.Keep(signed(tb, j, size), nil); err != nil {
			tb.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := j.Export(tb.Context(), &out, from, to); err != nil {
		tb.Fatal(err)
	}
	if err := j.Close(); err != nil { // what it does aside would disturb a fuzzer
		tb.Fatal(err)
	}
	return out.Bytes()
}

func TestExport(t *testing.T) {
	for _, test := range []struct {
		name        string
		from, to    uint64
		checkpoints []uint64
		proven      uint64
		used        int
	}{
		{"all, with a checkpoint at its end", 0, 300, []uint64{100, 300}, 300, 2},
		{"all, with a checkpoint before its end", 0, 300, []uint64{100, 299}, 299, 2},
		{"all, with none", 0, 300, nil, 0, 0},
		{"a part, with checkpoints around", 120, 200, []uint64{100, 260, 300}, 200, 1},
		{"a part, with checkpoints inside", 120, 200, []uint64{100, 120, 150, 200, 300}, 200, 3},
		{"a part behind all", 120, 200, []uint64{100}, 120, 0},
		{"nothing of something", 120, 120, []uint64{130}, 120, 1},
		{"nothing", 0, 0, nil, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			data := exported(t, test.from, test.to, test.checkpoints...)
			n := test.from
			report, err := VerifyExport(bytes.NewReader(data), trust(t), func(e Entry) error {
				if e.N != n {
					t.Errorf("entry %d, want %d", e.N, n)
				}
				n++
				return nil
			})
			if err != nil || n != test.to {
				t.Fatalf("%d entries, %v", n, err)
			}
			if report.From != test.from || report.To != test.to || report.Proven != test.proven || len(report.Checkpoints) != test.used {
				t.Errorf("%+v", report)
			}
		})
	}
}

// TestExportChanged changes every byte of an export.
func TestExportChanged(t *testing.T) {
	data := exported(t, 3, 16, 10, 300)
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 1 << (i % 8)
		if _, err := VerifyExport(bytes.NewReader(changed), trust(t), nil); err == nil {
			t.Fatalf("byte %d was changed: nobody noticed", i)
		}
		if i%16 != 0 {
			continue
		}
		if _, err := VerifyExport(bytes.NewReader(data[:i]), trust(t), nil); err == nil {
			t.Fatalf("cut short at byte %d: nobody noticed", i)
		}
	}
	if _, err := VerifyExport(bytes.NewReader(append(data, 0)), trust(t), nil); err == nil {
		t.Error("goes on: nobody noticed")
	}
}

// TestExportForged exports other histories under the checkpoints of ours.
func TestExportForged(t *testing.T) {
	j, forged := open(t, t.TempDir()), open(t, t.TempDir())
	add(t, j, 1, 300)
	add(t, forged, 1, 120)
	add(t, forged, 2, 300)
	for _, test := range []struct {
		name       string
		checkpoint uint64
		to         uint64
		fault      string
	}{
		{"a checkpoint inside", 200, 300, "export: entries 0 to 199: one was changed: CONTRADICTION"},
		{"a checkpoint behind", 300, 250, "export: entries 0 to 249: one was changed: tree of 250 in tree of 300"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			w := newExportWriter(&out)
			root := must(forged.Root(test.to))
			w.frame(frame{Head: &exportHead{Frontier{}, test.to, root}})
			c := exportCheckpoint{Text: signed(t, j, test.checkpoint).Text()}
			if test.checkpoint > test.to {
				c.Proof = must(forged.ProveConsistency(test.to, test.checkpoint))
			}
			w.frame(frame{Checkpoint: &c})
			for row, err := range forged.leaves(Query{Limit: int(test.to)}) {
				if err != nil {
					t.Fatal(err)
				}
				w.frame(frame{Leaf: row.leaf})
			}
			if err := w.end(); err != nil {
				t.Fatal(err)
			}
			_, err := VerifyExport(&out, trust(t), nil)
			if err == nil || !strings.HasPrefix(err.Error(), test.fault) {
				t.Errorf("error %v, want %q", err, test.fault)
			}
		})
	}
}

// TestExportImport brings an export into an empty journal.
func TestExportImport(t *testing.T) {
	data := exported(t, 0, 300, 300)
	j := open(t, t.TempDir())
	report, err := VerifyExport(bytes.NewReader(data), trust(t), func(e Entry) error {
		_, err := j.Append(e)
		return err
	})
	if err != nil || must(j.Root(300)) != report.Root {
		t.Fatal(report, err)
	}
	stop := errors.New("stop")
	if _, err := VerifyExport(bytes.NewReader(data), trust(t), func(Entry) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
	if err := j.Export(t.Context(), io.Discard, 0, 301); err == nil {
		t.Error("exported more than there is")
	}
	if err := j.Export(t.Context(), io.Discard, 5, 4); err == nil {
		t.Error("exported backwards")
	}
}

func FuzzVerifyExport(f *testing.F) {
	data := exported(f, 3, 16, 10, 300)
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add([]byte(exportMagic))
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		changed := slices.Clone(data)
		changed[rng.IntN(len(changed))] ^= 1 << rng.IntN(8)
		f.Add(changed)
	}
	tr := trust(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, in := range [][]byte{in, mended(in)} {
			report, err := VerifyExport(bytes.NewReader(in), tr, nil)
			if err == nil && report.Proven > report.From && !bytes.Equal(in, data) {
				t.Errorf("proved another export: %+v", report)
			}
		}
	})
}

// mended returns an export with the checksums that its frames should have, so
// that a fuzzer comes past them.
func mended(in []byte) []byte {
	out := bytes.Clone(in)
	for at := len(exportMagic) + 1; at+8 <= len(out); {
		size := int(binary.BigEndian.Uint32(out[at:]))
		if size > len(out)-at-8 {
			break
		}
		binary.BigEndian.PutUint32(out[at+4:], crc32.Checksum(out[at+8:at+8+size], crcTable))
		at += 8 + size
	}
	return out
}
