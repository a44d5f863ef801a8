package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// settle prints an instance that was just changed, after waiting for it if that
// was asked.
func (i *invocation) settle(ctx context.Context, service protocol.Service, instance protocol.Instance, wait time.Duration) error {
	var failed error
	if wait > 0 && !instance.Settled() {
		instance, failed = i.follow(ctx, service, instance, wait)
		if failed != nil && (protocol.CodeOf(failed) == protocol.ErrUnavailable || ctx.Err() != nil) {
			return failed
		}
	}
	err := i.show(instance.Filled(), func(w io.Writer) { i.printOutcome(w, instance) })
	return errors.Join(err, failed)
}

// follow waits for an instance and shows how far it is.
func (i *invocation) follow(ctx context.Context, service protocol.Service, first protocol.Instance, wait time.Duration) (protocol.Instance, error) {
	p := &progress{out: i.Err, terminal: i.Terminal, now: i.Now}
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	last, err := protocol.Wait(limited, service, protocol.Ref{Reference: first.Reference, Account: first.Account}, p.see)
	p.end()
	if last.Reference == "" {
		last = first
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = &exitError{exitNotReady, fmt.Sprintf("%s is not %s after %v, but %s: it goes on; look with \"slapd show %s\"",
			last.Reference, last.RequestedState, wait, describe(last), last.Reference)}
	}
	return last, err
}

// describe is an instance's state in one line.
func describe(i protocol.Instance) string {
	text := string(i.State)
	if i.State == protocol.StateStarted && !i.Healthy {
		text += ", not healthy"
	}
	if i.Reason != "" {
		text += ": " + i.Reason
	}
	if i.Unreachable != nil {
		text += fmt.Sprintf(" (computer unreachable since %s)", i.Unreachable.Format(time.RFC3339))
	}
	return text
}

// printOutcome prints what one wants to know after a change: the state and the
// connection.
func (i *invocation) printOutcome(w io.Writer, instance protocol.Instance) {
	fmt.Fprintf(w, "%s: %s\n", printable(instance.Reference), printable(describe(instance)))
	for _, k := range slices.Sorted(maps.Keys(instance.Connection)) {
		row(w, "  "+k, instance.Connection[k])
	}
	if instance.KeptUntil != nil {
		fmt.Fprintf(w, "  its data is kept until %s, and billed; start it to have it back\n", instance.KeptUntil.Local().Format(time.DateTime))
	}
	if !instance.Settled() && instance.State != protocol.StateError {
		fmt.Fprintf(w, "  %s was requested: look with \"slapd show %s\"\n", instance.RequestedState, printable(instance.Reference))
	}
}
