package command

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func destroyVerb() *verb {
	return &verb{
		name: "destroy", args: "REFERENCE", min: 1, max: 1, brief: "destroy an instance, what it requested, and the data",
		about: "With --keep it is first stopped, and its data kept for so long, which is billed: start it, or request it again,\n" +
			"and it is there. --keep 0s ends what is kept at once. Without --keep, what was said when it was requested holds.",
		options: func() []cli.Flag {
			return append(changeFlags(), &cli.StringFlag{Name: "keep", Usage: "keep the data for a `WHILE`, such as 24h or 7d"})
		},
		examples: []string{"slapd destroy db1", "slapd destroy db1 --wait", "slapd destroy db1 --keep 7d"},
		run: func(ctx context.Context, i *invocation) error {
			keep := i.String("keep")
			if keep == "" {
				return change(protocol.RequestDestroyed)(ctx, i)
			}
			if _, err := protocol.ParseKeep(keep); err != nil {
				return usagef("--keep %s: a duration such as 24h or 7d, at most 366d", keep)
			}
			return i.alter(ctx, func(s protocol.Service) (protocol.Instance, error) { return s.Destroy(ctx, i.ref(), keep) })
		},
	}
}
