package command

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func leaveVerb() *verb {
	return &verb{
		name: "leave", brief: "take this computer out of the mesh, and stop its peer",
		about: "Refused while instances are placed here, unless --force.",
		options: func() []cli.Flag {
			return []cli.Flag{&cli.BoolFlag{Name: "force", Usage: "leave although instances are placed here; they are lost"}}
		},
		examples: []string{"slapd leave", "slapd leave --force"},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			if err := service.Leave(ctx, protocol.LeaveInput{Force: i.Bool("force")}); err != nil {
				return err
			}
			return i.show(map[string]bool{"left": true}, func(w io.Writer) { fmt.Fprintln(w, "left the mesh") })
		},
	}
}
