package meter

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestClosePeriod(t *testing.T) {
	seconds := func(n uint64) area { return area{0, n * byteSecond} }
	tests := []struct {
		name  string
		given period
		day   time.Time
		cores int
		want  []ledger.UsageEntry
		next  period
	}{
		{
			name:  "what is less than a byte-second is for the next report",
			given: period{Number: 3, From: noon, Now: 10 * time.Minute, Used: map[ledger.InstanceID]amount{7: {Core: 5, Memory: area{0, byteSecond + 1}}}},
			day:   noon.Add(10 * time.Minute),
			want:  []ledger.UsageEntry{{Instance: 7, Usage: ledger.Usage{Core: 5, Memory: 1}}},
			next: period{
				Number: 4, From: noon.Add(10 * time.Minute), Opened: 10 * time.Minute, Now: 10 * time.Minute,
				Used: map[ledger.InstanceID]amount{7: {Memory: area{0, 1}}},
			},
		}, {
			name:  "a clock that was put back does not make periods overlap",
			given: period{Number: 3, From: noon, Now: 10 * time.Minute, Used: map[ledger.InstanceID]amount{9: {Network: 1}}},
			day:   noon.Add(-time.Hour),
			want:  []ledger.UsageEntry{{Instance: 9, Usage: ledger.Usage{Network: 1}}},
			next:  period{Number: 4, From: noon.Add(10 * time.Minute), Opened: 10 * time.Minute, Now: 10 * time.Minute},
		}, {
			name:  "a clock that was put forward leaves a gap",
			given: period{Number: 3, From: noon, Now: 10 * time.Minute, Used: map[ledger.InstanceID]amount{9: {Network: 1}}},
			day:   noon.Add(time.Hour),
			want:  []ledger.UsageEntry{{Instance: 9, Usage: ledger.Usage{Network: 1}}},
			next:  period{Number: 4, From: noon.Add(time.Hour), Opened: 10 * time.Minute, Now: 10 * time.Minute},
		}, {
			name:  "more than a day is more than one report",
			given: period{Number: 3, From: noon, Now: 36 * time.Hour, Used: map[ledger.InstanceID]amount{9: {Core: 30}}},
			day:   noon.Add(36 * time.Hour),
			want:  []ledger.UsageEntry{{Instance: 9, Usage: ledger.Usage{Core: 20}}},
			next: period{
				Number: 4, From: noon.Add(24 * time.Hour), Opened: 24 * time.Hour, Now: 36 * time.Hour,
				Used: map[ledger.InstanceID]amount{9: {Core: 10}},
			},
		}, {
			name:  "what no cores can do is not claimed: who goes on owes it, who ended does not",
			given: period{Number: 3, From: noon, Now: time.Second, Used: map[ledger.InstanceID]amount{7: {Core: 3e9}, 9: {Core: 1e9}}},
			day:   noon.Add(time.Second), cores: 2,
			want: []ledger.UsageEntry{{Instance: 7, Usage: ledger.Usage{Core: 1.5e9}}, {Instance: 9, Usage: ledger.Usage{Core: 0.5e9}}},
			next: period{
				Number: 4, From: noon.Add(time.Second), Opened: time.Second, Now: time.Second,
				Used: map[ledger.InstanceID]amount{7: {Core: 1.5e9}},
			},
		}, {
			name:  "nothing used is no entry",
			given: period{Number: 3, From: noon, Now: time.Minute, Used: map[ledger.InstanceID]amount{9: {}, 8: {Disk: seconds(2)}}},
			day:   noon.Add(time.Minute),
			want:  []ledger.UsageEntry{{Instance: 8, Usage: ledger.Usage{Disk: 2}}},
			next:  period{Number: 4, From: noon.Add(time.Minute), Opened: time.Minute, Now: time.Minute},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cores := max(test.cores, 1)
			entries, next := test.given.close(test.day, cores, func(id ledger.InstanceID) bool { return id == 7 })
			if !reflect.DeepEqual(entries, test.want) {
				t.Errorf("report %+v, want %+v", entries, test.want)
			}
			for id, a := range next.Used {
				if reflect.DeepEqual(a, amount{}) {
					delete(next.Used, id)
				}
			}
			if len(next.Used) == 0 {
				next.Used = nil
			}
			if !reflect.DeepEqual(next, test.next) {
				t.Errorf("next %+v, want %+v", next, test.next)
			}
		})
	}
}

// The largest report is small enough for the ledger, and what did not fit is
// in the ones that follow.
func TestReportsFit(t *testing.T) {
	p := period{Number: 1, From: noon, Now: time.Hour}
	truth := uint64(0)
	for id := range ledger.InstanceID(ledger.MaxUsageEntries) {
		a := amount{Core: 1 << 30, Memory: area{1 << 28, 0}, Disk: area{1 << 29, 0}, Network: 1 << 60}
		for n := range uint64(maxNames) {
			a.count(fmt.Sprintf("%02d%s", n, strings.Repeat("x", maxMetric-2)), 1<<40+n)
			truth += 1<<40 + n
		}
		p.used(1<<60+id, a)
	}
	sign := func(m []byte) []byte { return bytes.Repeat([]byte{1}, 64) }
	got, seen := uint64(0), make(map[ledger.InstanceID]bool)
	for range 2 * ledger.MaxUsageEntries {
		number := p.Number
		entries, next := p.close(p.From.Add(p.length()), 1<<20, func(ledger.InstanceID) bool { return true })
		if len(entries) == 0 {
			break
		}
		signed, err := ledger.UsageReport{Mesh: "m", Computer: "c", Number: number, From: p.From, To: p.From.Add(p.length()), Entries: entries}.Sign(sign)
		if err != nil {
			t.Fatal(err)
		}
		if len(signed.Report) > ledger.MaxUsageBytes {
			t.Fatalf("report %d has %d bytes, at most %d", number, len(signed.Report), ledger.MaxUsageBytes)
		}
		for _, e := range entries {
			seen[e.Instance] = true
			if len(e.Usage.Metrics) > ledger.MaxMetrics {
				t.Fatalf("%d metrics", len(e.Usage.Metrics))
			}
			for _, n := range e.Usage.Metrics {
				got += n
			}
		}
		p = next
		p.Now += time.Hour
		if number == 3 {
			break // each takes its time; the rest must be in what is open
		}
	}
	for _, a := range p.Used {
		for _, n := range a.Metrics {
			got += n
		}
	}
	if got != truth || len(seen) != ledger.MaxUsageEntries {
		t.Errorf("metrics %d of %d, of %d instances", got, truth, len(seen))
	}
}
