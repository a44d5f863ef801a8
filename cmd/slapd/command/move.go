package command

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func moveVerb() *verb {
	return &verb{
		name: "move", args: "REFERENCE", min: 1, max: 1, brief: "give a stopped instance another computer",
		about: "Data does not move: the instance is made anew there, stopped, with its name, parameters and what it\n" +
			"requested, a new id and a new address. What it had is destroyed, and its old partition is billed until its\n" +
			"computer says that it is empty. So it must be stopped, unless its computer is silent, and --discard-data\n" +
			"must say that the data may be lost. It costs what a request costs.",
		options: func() []cli.Flag {
			return []cli.Flag{
				&cli.StringFlag{Name: "to", Usage: "to `COMPUTER`, by name or id"},
				&cli.StringSliceFlag{Name: "filter", Usage: "to a computer with `NAME=VALUE`, from now on; may be repeated"},
				&cli.StringFlag{Name: "where", Usage: "to a computer for which `EXPRESSION` holds, from now on"},
				&cli.BoolFlag{Name: "discard-data", Usage: "its data may be lost"},
				accountFlag(),
			}
		},
		examples: []string{
			"slapd stop db1 --wait; slapd move db1 --to castle --discard-data; slapd start db1 --wait",
			"slapd move db1 --filter country=FR --discard-data",
		},
		run: func(ctx context.Context, i *invocation) error {
			in := protocol.MoveInput{Where: i.String("where"), DiscardData: i.Bool("discard-data")}
			var err error
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
			return i.settle(ctx, service, n, 0)
		},
	}
}
