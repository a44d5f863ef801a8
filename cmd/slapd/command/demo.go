package command

import (
	"context"

	"github.com/urfave/cli/v2"
)

func demoVerb() *verb {
	return &verb{
		name: "demo", brief: "see a mesh on this machine: a real database, and a leader that is killed",
		about: "Nothing is left running, unless --keep. Needs no other slapd and disturbs none.",
		options: func() []cli.Flag {
			return []cli.Flag{
				&cli.IntFlag{Name: "peers", Usage: "a mesh of `N` peers", Value: 3},
				&cli.BoolFlag{Name: "keep", Usage: "leave the mesh up, and say what to try next"},
			}
		},
		examples: []string{"slapd demo", "slapd demo --peers 5 --keep"},
		run: func(ctx context.Context, i *invocation) error {
			return i.Peer.Demo(ctx, DemoOptions{Peers: i.Int("peers"), Keep: i.Bool("keep"), Dir: i.String("dir")})
		},
	}
}
