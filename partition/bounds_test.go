package partition

import (
	"testing"

	"github.com/slapmesh/slapmesh/partition/supervisor"
)

func TestExplainMemory(t *testing.T) {
	const killed = "service redis: killed by signal 9 (killed)"
	tests := map[string]struct {
		reason string
		kills  uint64
		limit  int64
		want   string
	}{
		"somebody killed it":      {killed, 0, 64 << 20, killed},
		"its own limit":           {killed, 1, 64 << 20, "service redis: out of memory: it may use 64 MiB, request it again with a higher --memory"},
		"that of all":             {killed, 3, 0, "service redis: out of memory: all instances of this computer together have none left"},
		"something else happened": {"service redis: exit status 1", 1, 64 << 20, "service redis: exit status 1"},
		"nothing happened":        {"", 1, 64 << 20, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := explainMemory(supervisor.Status{Reason: test.reason}, test.kills, test.limit); got.Reason != test.want {
				t.Errorf("reason %q, want %q", got.Reason, test.want)
			}
		})
	}
}

func TestExplainDisk(t *testing.T) {
	for _, tc := range []struct {
		reason     string
		used, size int64
		want       string
	}{
		{"", 64 << 20, 64 << 20, ""},
		{"service db: exit status 1", 0, 0, "service db: exit status 1"},
		{"service db: exit status 1", 10 << 20, 64 << 20, "service db: exit status 1"},
		{"service db: exit status 1", 64<<20 - 100, 64 << 20, "service db: exit status 1; disk full: 63 of 64 MiB, request it again with a higher --disk"},
	} {
		if got := explainDisk(supervisor.Status{Reason: tc.reason}, tc.used, tc.size); got.Reason != tc.want {
			t.Errorf("%d of %d: %q, want %q", tc.used, tc.size, got.Reason, tc.want)
		}
	}
}
