package ledger

import (
	"bytes"
	"reflect"
	"slices"
	"testing"
	"time"
)

// skimmed reports whether a row can be skimmed. If so it must be one that is
// decoded, and what is taken of it must be what is decoded.
func skimmed[V any](t *testing.T, c cold[V], data []byte) bool {
	t.Helper()
	var got, want, whole V
	if !skim(newSkimmer(), c.shape, data, &got) {
		return false
	}
	if err := decode(data, &whole); err != nil {
		t.Fatalf("%x is skimmed, and is not decoded: %v", data, err)
	}
	for _, f := range c.shape.fields {
		if f != nil && f.wanted {
			reflect.ValueOf(&want).Elem().Field(f.at).Set(reflect.ValueOf(whole).Field(f.at))
		}
	}
	if !bytes.Equal(mustEncode(got), mustEncode(want)) {
		t.Fatalf("%x: took %+v, want %+v", data, got, want)
	}
	return true
}

// TestSkim: rows that say all that a row can say are skimmed, unless something
// is wanted that seldom is there.
func TestSkim(t *testing.T) {
	w := given(t, home+"p1 request a web 1\n")
	i, _ := w.InstanceByReference("ann", "a")
	i.Parameters = params("x", "1")
	i.Filter, i.Where, i.Connection = map[string]string{"a": "b", "cc": "d"}, "a = 1", map[string]string{"url": "é"}
	i.Ports, i.UDP = map[string]uint16{"x": 65535}, []string{"x"}
	i.Needs, i.Affinity = Needs{1, 2, 3, 4}, Affinity{[]Reference{"b"}, "site", []Reference{"c"}, "host"}
	i.Parent, i.Root, i.Host, i.Scope, i.Kept, i.Moved = 1, 1<<40, 7, ScopePublic, noon.Add(time.Nanosecond), 8
	i.Retention, i.MaxPrice = -time.Hour, -1<<63
	if !skimmed(t, coldInstances, mustEncode(i)) || !skimmed(t, coldInstances, mustEncode(Instance{})) {
		t.Error("an instance is not skimmed")
	}
	c, _ := w.Charge(i.ID)
	c.Used.Metrics, c.Host = map[string]uint64{"rows": 1<<64 - 1}, "bob"
	c.Reviews = []Review{{Verdict: VerdictDisputed, Through: noon, Note: "no"}}
	if !skimmed(t, coldCharges, mustEncode(c)) {
		t.Error("a bill is not skimmed")
	}
	c.Former = []Tenure{{Owner: "bob", Until: noon}}
	if skimmed(t, coldCharges, mustEncode(c)) {
		t.Error("a bill with former owners is skimmed, without them")
	}
}

// TestSkimRefuses: what is not the one byte form of a row is left to decode.
func TestSkimRefuses(t *testing.T) {
	for what, fields := range map[string]map[uint64]any{
		"a number that is a text":     {1: "1"},
		"a text that is a number":     {2: 1},
		"a text that is none":         {2: rawCBOR("\x61\xff")},
		"too large a port":            {18: map[string]int{"x": 65536}},
		"too large a partition":       {15: uint64(1 << 63)},
		"a negative id":               {1: -1},
		"a number that says yes":      {9: 1},
		"an unknown field":            {199: 1},
		"an unknown need":             {30: map[uint64]any{59: 1}},
		"a time that is none":         {20: "2026-02-30T00:00:00Z"},
		"a time elsewhere":            {45: "2026-02-03T00:00:00+01:00"},
		"an address of 5 bytes":       {16: []byte{1, 2, 3, 4, 5}},
		"a map with a key twice":      {17: rawCBOR("\xa2\x61a\x61b\x61a\x61c")},
		"a map with a key of none":    {17: rawCBOR("\xa1\xf6\x61b")},
		"a list without an end":       {140: rawCBOR("\x9f\xff")},
		"a list that is longer":       {140: rawCBOR("\x82\x61a")},
		"a tag":                       {20: rawCBOR("\xc0\x61a")},
		"a number of an unknown size": {1: rawCBOR("\x1c")},
	} {
		for n, v := range fields {
			row := append([]byte{0xa1}, mustEncode(n)...)
			if raw, ok := v.(rawCBOR); ok {
				row = append(row, raw...)
			} else {
				row = append(row, mustEncode(v)...)
			}
			if skimmed(t, coldInstances, row) {
				t.Errorf("%s is taken: %x", what, row)
			}
		}
	}
	for _, row := range []string{"", "\xa0\x00", "\x80", "\xa2\x02\x61a\x01\x01", "\xa2\x01\x01\x01\x01", "\xa1\x01", "\xbf\xff"} {
		if skimmed(t, coldInstances, []byte(row)) {
			t.Errorf("%x is taken", row)
		}
	}
}

func FuzzSkim(f *testing.F) {
	w := given(f, home+"p1 request a web 1\np1 token t computer bob\n")
	for _, s := range []shelf{first(w.shelf(tableInstances)), first(w.shelf(tableCharges))} {
		s.encoded(func(_ Key, data []byte) bool {
			f.Add(data)
			return true
		})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		skimmed(t, coldInstances, data)
		skimmed(t, coldCharges, data)
	})
}

func first[A, B any](a A, _ B) A { return a }

// TestRecordsOf: a block is read as it is decoded, or not.
func TestRecordsOf(t *testing.T) {
	records := []Record{{Table: 1, Value: []byte("a")}, {Table: 255, Value: bytes.Repeat([]byte("b"), 70_000)}, {Table: 3, Value: []byte{}}}
	data := mustEncode(snapshotBlock{Records: records})
	got, ok := recordsOf(data)
	if !ok || !bytes.Equal(mustEncode(got), mustEncode(records)) {
		t.Errorf("%v, %t", got, ok)
	}
	for n := range data[:100] {
		if _, ok := recordsOf(data[:n]); ok {
			t.Errorf("%d bytes of it are taken", n)
		}
	}
	for what, block := range map[string]snapshotBlock{
		"the last":           {Records: records, Last: true},
		"none":               {},
		"one with a deleted": {Records: []Record{{Table: 1, Key: Key{A: "a"}}}},
	} {
		if got, ok := recordsOf(mustEncode(block)); ok {
			t.Errorf("%s: %v", what, got)
		}
	}
	var tables []Table
	for _, r := range runsOf(append(records, records[2])) {
		tables = append(tables, r.table)
	}
	if !slices.Equal(tables, []Table{1, 255, 3}) {
		t.Errorf("runs of %v", tables)
	}
}
