package partition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// Count asks what runs in a partition for a metric: it runs the metric's
// command inside. It ends with ctx, or after the metric's timeout.
func (c *Computer) Count(ctx context.Context, partition int, m release.Metric) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, m.Timeout)
	defer cancel()
	running, err := c.Walls.Find(ctx, c.folder(partition))
	if err != nil {
		return 0, fmt.Errorf("metric %s: %w", m.Name, err)
	}
	defer func() { _ = running.Close() }()
	var out, complaint brief
	code, err := running.Exec(ctx, supervisor.Exec{Argv: m.Exec, Env: environ(m.Env), Stdout: &out, Stderr: &complaint})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return 0, fmt.Errorf("metric %s: no answer within %v", m.Name, m.Timeout)
	case err != nil:
		return 0, fmt.Errorf("metric %s: %w", m.Name, err)
	case code != 0:
		return 0, fmt.Errorf("metric %s: exit status %d: %.200q", m.Name, code, bytes.TrimSpace(complaint.said))
	}
	n, err := countOf(out.said)
	if err != nil {
		return 0, fmt.Errorf("metric %s: %w", m.Name, err)
	}
	return n, nil
}

// countOf reads what a metric's command printed: a whole number, and nothing
// besides. A part of a number is no number: that it fell would be taken for a
// new beginning, and billed.
func countOf(said []byte) (uint64, error) {
	n, err := strconv.ParseUint(string(bytes.TrimSpace(said)), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("it printed %.60q: one whole number expected", said)
	}
	return n, nil
}

// A brief keeps the beginning of what a command says, and lets the rest go.
type brief struct{ said []byte }

const briefSize = 1 << 10

func (b *brief) Write(p []byte) (int, error) {
	b.said = append(b.said, p[:min(len(p), briefSize-len(b.said))]...)
	return len(p), nil
}
