package command

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func startVerb() *verb {
	return &verb{
		name: "start", args: "REFERENCE", min: 1, max: 1, brief: "start an instance that was stopped",
		options:  changeFlags,
		examples: []string{"slapd start db1", "slapd start db1 --wait"},
		run:      change(protocol.RequestStarted),
	}
}

// changeFlags are those of the verbs that change an instance's state.
func changeFlags() []cli.Flag { return []cli.Flag{accountFlag(), waitFlag()} }

// change is the verb that requests a state.
func change(state protocol.RequestedState) func(context.Context, *invocation) error {
	return func(ctx context.Context, i *invocation) error {
		return i.alter(ctx, func(s protocol.Service) (protocol.Instance, error) { return s.SetState(ctx, i.ref(), state) })
	}
}

// alter has an instance changed, and waits for it if that was asked.
func (i *invocation) alter(ctx context.Context, do func(protocol.Service) (protocol.Instance, error)) error {
	wait, err := i.wait()
	if err != nil {
		return err
	}
	service, err := i.service()
	if err != nil {
		return err
	}
	n, err := do(service)
	if err != nil {
		return err
	}
	return i.settle(ctx, service, n, wait)
}
