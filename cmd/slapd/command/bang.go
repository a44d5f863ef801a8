package command

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func bangVerb() *verb {
	return &verb{
		name: "bang", args: "REFERENCE", min: 1, max: 1, brief: "have every instance of a tree looked at again, now",
		about: "What failed is tried again at once. Nothing restarts that is as it should be.",
		options: func() []cli.Flag {
			return []cli.Flag{
				&cli.StringFlag{Name: "message", Aliases: []string{"m"}, Usage: "say `WHY`; it stands among the events of the instance"},
				accountFlag(),
			}
		},
		examples: []string{"slapd bang shop", "slapd bang shop/db -m 'the disk has room again'"},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			n, err := service.Bang(ctx, i.ref(), protocol.BangInput{Message: i.String("message")})
			if err != nil {
				return err
			}
			return i.show(n.Filled(), func(w io.Writer) {
				root := n.Root
				if root == "" {
					root = n.Reference
				}
				fmt.Fprintf(w, "all of %s is looked at again\n", printable(root))
			})
		},
	}
}
