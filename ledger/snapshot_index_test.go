package ledger

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// TestLoadedIndexes: what was put as it came and what a snapshot put at once
// find the same, in the same order.
func TestLoadedIndexes(t *testing.T) {
	w := large(t, 500)
	var stream bytes.Buffer
	if err := w.WriteSnapshot(&stream); err != nil {
		t.Fatal(err)
	}
	s, err := ReadSnapshot(&stream)
	if err != nil {
		t.Fatal(err)
	}
	if s.references.Len() != w.references.Len() || s.earners.Len() != w.earners.Len() {
		t.Errorf("%d names, %d earnings; want %d, %d", s.references.Len(), s.earners.Len(), w.references.Len(), w.earners.Len())
	}
	for account := range w.Accounts() {
		got, want := collect(s.Instances(account.Name)), collect(w.Instances(account.Name))
		if !slices.EqualFunc(got, want, func(a, b Instance) bool { return a.ID == b.ID }) {
			t.Errorf("%s has %d instances, want %d, in this order", account.Name, len(got), len(want))
		}
	}
	for i := range w.AllInstances() {
		if got, ok := s.InstanceByReference(i.Account, i.Reference); !ok || got.ID != i.ID {
			t.Errorf("%s of %s is %s, want %s", i.Reference, i.Account, got.ID, i.ID)
		}
	}
}

func TestSnapshotWithARowTwice(t *testing.T) {
	w := given(t, "system found home ann p0\n")
	row := Record{Table: tableAccounts, Value: mustEncode(collect(w.Accounts())[0])}
	var stream bytes.Buffer
	for _, block := range []any{
		snapshotHeader{snapshotMagic, snapshotVersion, 1, w.counters},
		snapshotBlock{Records: []Record{row, row}, Last: true},
	} {
		if err := writeBlock(&stream, block); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ReadSnapshot(&stream); err == nil || !strings.Contains(err.Error(), "record 1 of table 2: that row was there before") {
		t.Errorf("err = %v", err)
	}
}
