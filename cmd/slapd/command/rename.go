package command

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func renameVerb() *verb {
	return &verb{
		name: "rename", args: "REFERENCE NEW", min: 2, max: 2, brief: "give an instance another name",
		about: "NEW is without what is above the instance. What it requested is found below the new name, and it runs on.\n" +
			"An instance that goes on to request the old name gets a new instance.",
		options:  func() []cli.Flag { return []cli.Flag{accountFlag()} },
		examples: []string{"slapd rename db1 shop-db", "slapd rename shop/db old"},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			n, err := service.Rename(ctx, i.ref(), protocol.RenameInput{To: i.args[1]})
			if err != nil {
				return err
			}
			return i.show(n.Filled(), func(w io.Writer) {
				fmt.Fprintf(w, "%s is now %s\n", printable(i.args[0]), printable(n.Reference))
			})
		},
	}
}
