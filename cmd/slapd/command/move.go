package command

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func moveVerb() *verb {
	return &verb{
		name: "move", args: "REFERENCE", min: 1, max: 1, brief: "give an instance another computer, with its data",
		about: "Once what it runs is there, the instance is stopped where it is, its data is carried over, encrypted from\n" +
			"computer to computer, and it is started there, with its name, parameters, secrets and what it requested, at a\n" +
			"new address. The old copy is destroyed when the new one was started with all promises held; until then both\n" +
			"partitions are billed. It moves only if its profile says that its data may. It costs what a request costs.\n" +
			"With --discard-data it begins anew without its data; then it must be stopped, unless its computer is silent.",
		options: func() []cli.Flag {
			return []cli.Flag{
				&cli.StringFlag{Name: "to", Usage: "to `COMPUTER`, by name or id"},
				&cli.StringSliceFlag{Name: "filter", Usage: "to a computer with `NAME=VALUE`, from now on; may be repeated"},
				&cli.StringFlag{Name: "where", Usage: "to a computer for which `EXPRESSION` holds, from now on"},
				&cli.BoolFlag{Name: "discard-data", Usage: "leave its data behind, to be destroyed"},
				waitFlag(), accountFlag(),
			}
		},
		examples: []string{
			"slapd move db1 --to castle --wait=10m", "slapd move db1 --filter country=FR",
			"slapd stop db1 --wait; slapd move db1 --discard-data; slapd start db1 --wait",
		},
		run: func(ctx context.Context, i *invocation) error {
			in := protocol.MoveInput{Where: i.String("where"), DiscardData: i.Bool("discard-data")}
			wait, err := i.wait()
			if err != nil {
				return err
			}
			if in.Filter, err = i.settings("filter"); err != nil {
				return err
			}
			if to := i.String("to"); to != "" {
				if in.Filter != nil || in.Where != "" {
					return usagef("--to %s: not together with --filter or --where", to)
				}
				in.Filter = map[string]string{"computer": to}
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			n, err := service.Move(ctx, i.ref(), in)
			if err != nil {
				return err
			}
			return i.settle(ctx, service, n, wait)
		},
	}
}
