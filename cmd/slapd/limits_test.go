package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/partition/limits"
	"github.com/slapmesh/slapmesh/protocol"
)

// A real server that takes more memory than it asked for is ended, says why,
// and serves again; its neighbour on the computer notices nothing.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	if lacks, why := limits.Open(limits.Limits{}).Lacks(); strings.Contains(strings.Join(lacks, " "), "memory") {
		t.Skipf("no limits on memory here: %s", why)
	}
	downloaded(t, "redis")
	w := newWorld(t, newNetwork(t))
	a := w.mesh("2", "a")[0]
	small := a.ask(protocol.RequestInput{
		Reference: "small", Release: "redis", Needs: protocol.Needs{Memory: 64 << 20},
		Parameters: map[string]json.RawMessage{"memory": json.RawMessage(`"1GiB"`)},
	})
	a.settled("small")
	a.request(protocol.RequestInput{Reference: "neighbour", Release: "redis"})
	run := func(reference, command string) (int, error) {
		i, err := a.Instance(t.Context(), protocol.Ref{Reference: reference})
		if err != nil {
			return 0, err
		}
		argv := []string{"sh", "-c", `REDISCLI_AUTH="$0" redis-cli -e -h "$1" ` + command, i.Connection["password"], i.Address}
		return a.Exec(t.Context(), protocol.Ref{Reference: reference}, protocol.ExecInput{Argv: argv}, nil, io.Discard, io.Discard)
	}
	if code, err := run("small", "setrange big 300000000 x"); err != nil || code == 0 {
		t.Errorf("300 MB in 64 MiB: %d, %v", code, err)
	}
	w.until("it says why it was ended", func() error {
		i, err := a.Instance(t.Context(), protocol.Ref{Reference: small.Reference})
		if err == nil && !strings.Contains(i.Reason, "out of memory: it may use 64 MiB") {
			err = fmt.Errorf("it is %s: %s", i.State, i.Reason)
		}
		return err
	})
	w.until("it serves again", func() error {
		if code, err := run("small", "ping"); err != nil || code != 0 {
			return fmt.Errorf("%d, %w", code, err)
		}
		return nil
	})
	if code, err := run("neighbour", "ping"); err != nil || code != 0 {
		t.Errorf("its neighbour: %d, %v", code, err)
	}
}
