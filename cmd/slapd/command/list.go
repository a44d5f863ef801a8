package command

import (
	"context"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func listVerb() *verb {
	return &verb{
		name: "list", brief: "your instances",
		options: func() []cli.Flag {
			return []cli.Flag{
				treeFlag("each below the one that requested it"),
				&cli.BoolFlag{Name: "all", Usage: "of all accounts (operators only)"},
				&cli.StringFlag{Name: "account", Usage: "of `ACCOUNT`: a project of yours, or any for operators"},
			}
		},
		examples: []string{"slapd list", "slapd list --tree", "slapd list --json"},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			instances, err := service.Instances(ctx, protocol.InstanceQuery{All: i.Bool("all"), Account: i.String("account")})
			if err != nil {
				return err
			}
			return i.show(instances, func(w io.Writer) {
				if i.Bool("tree") {
					i.printTrees(w, instances)
					return
				}
				row(w, "REFERENCE", "RELEASE", "TYPE", "STATE", "HEALTHY", "COMPUTER", "PARTITION", "ADDRESS", "CHANGED")
				for _, n := range instances {
					name := n.Reference
					if i.Bool("all") {
						name = n.Account + ":" + n.Reference
					}
					row(w, name, n.Release, n.Type, n.State, yes(n.Healthy), n.ComputerName, n.Partition, n.Address, i.age(n.Changed))
				}
			})
		},
	}
}
