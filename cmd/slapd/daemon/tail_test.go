package daemon

import (
	"bytes"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/protocol"
)

const someLog = `2026-11-22T14:00:00.000Z server: one
2026-11-22T14:00:01.000Z backup: only
2026-11-22T14:00:02.000Z server: two: with a colon
2026-11-22T14:00:03.000Z server: three
`

func TestTail(t *testing.T) {
	for _, tc := range []struct {
		name string
		q    protocol.LogQuery
		want string // the numbers of the lines
	}{
		{"the last of each service", protocol.LogQuery{Tail: 1}, "24"},
		{"more than there are", protocol.LogQuery{Tail: 10}, "1234"},
		{"all", protocol.LogQuery{Tail: -1}, "1234"},
		{"one service", protocol.LogQuery{Tail: 2, Service: "server"}, "34"},
		{"a service that there is not", protocol.LogQuery{Tail: 2, Service: "web"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			last, size, err := tail(strings.NewReader(someLog), tc.q)
			if err != nil || size != int64(len(someLog)) {
				t.Fatalf("size %d of %d, err %v", size, len(someLog), err)
			}
			want := ""
			for n, line := range strings.SplitAfter(someLog, "\n") {
				if strings.Contains(tc.want, string(rune('1'+n))) {
					want += line
				}
			}
			if string(last) != want {
				t.Errorf("got %q, want %q", last, want)
			}
		})
	}
}

func TestFollowShowsNothingTwice(t *testing.T) {
	last, size, err := tail(strings.NewReader(someLog), protocol.LogQuery{Tail: 1, Service: "server"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	more := someLog + "2026-11-22T14:00:04.000Z backup: again\n2026-11-22T14:00:05.000Z server: four\n"
	if err := follow(&out, strings.NewReader(more), last, size, "server"); err != nil {
		t.Fatal(err)
	}
	if want := "2026-11-22T14:00:03.000Z server: three\n2026-11-22T14:00:05.000Z server: four\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
