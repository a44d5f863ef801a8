package command

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func supplyVerb() *verb {
	return &verb{
		name: "supply", args: "[RELEASE [COMPUTER]]", max: 2, brief: "have a computer build a release ahead of requests, or drop it",
		about: "Without a release, lists what is ordered where. Without a computer, this peer's is\n" +
			"meant. A request implies the supply.",
		options: func() []cli.Flag {
			return []cli.Flag{&cli.StringFlag{Name: "state", Usage: "`STATE` is available or destroyed", Value: string(protocol.SupplyAvailable)}}
		},
		examples: []string{"slapd supply mariadb", "slapd supply mariadb castle", "slapd supply mariadb castle --state destroyed", "slapd supply"},
		run: func(ctx context.Context, i *invocation) error {
			state := protocol.SupplyState(i.String("state"))
			if state != protocol.SupplyAvailable && state != protocol.SupplyDestroyed {
				return usagef("--state %s: available or destroyed", state)
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			if len(i.args) == 0 {
				return i.listSupplies(ctx, service)
			}
			release, err := i.release(ctx, service, i.args[0], "")
			if err != nil {
				return err
			}
			in := protocol.SupplyInput{Release: release, State: state}
			if len(i.args) == 2 {
				in.Computer = i.args[1]
			}
			s, err := service.Supply(ctx, in)
			if err != nil {
				return err
			}
			return i.show(s, func(w io.Writer) {
				fmt.Fprintf(w, "%s on %s: %s requested, %s\n", printable(s.Release), printable(s.ComputerName), s.RequestedState, s.State)
			})
		},
	}
}

func (i *invocation) listSupplies(ctx context.Context, service protocol.Service) error {
	supplies, err := service.Supplies(ctx)
	if err != nil {
		return err
	}
	return i.show(supplies, func(w io.Writer) {
		row(w, "RELEASE", "COMPUTER", "REQUESTED", "STATE", "NOTE", "SINCE")
		for _, s := range supplies {
			row(w, s.Release, s.ComputerName, s.RequestedState, s.State, s.Progress+s.Reason, i.age(s.Changed))
		}
	})
}
