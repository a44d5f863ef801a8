package command

import (
	"context"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func logsVerb() *verb {
	return &verb{
		name: "logs", args: "REFERENCE", min: 1, max: 1, brief: "what an instance's services wrote",
		options: func() []cli.Flag {
			return []cli.Flag{
				&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on with what is written from now on"},
				&cli.IntFlag{Name: "tail", Usage: "the last `N` lines of each service; -1 is all", Value: 100},
				&cli.StringFlag{Name: "service", Usage: "only `SERVICE`"},
				accountFlag(),
			}
		},
		examples: []string{"slapd logs db1", "slapd logs db1 -f", "slapd logs db1 --service mariadbd --tail 20"},
		run: func(ctx context.Context, i *invocation) error {
			if i.Bool("json") {
				return usagef("--json: logs are text")
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			r, err := service.Logs(ctx, i.ref(), protocol.LogQuery{
				Follow: i.Bool("follow"), Tail: i.Int("tail"), Service: i.String("service"),
			})
			if err != nil {
				return err
			}
			defer r.Close() //nolint:errcheck // read only
			if _, err = io.Copy(i.Out, r); err != nil && ctx.Err() != nil && i.Bool("follow") {
				return nil // who follows ends it so
			}
			return err
		},
	}
}
