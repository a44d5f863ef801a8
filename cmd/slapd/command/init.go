package command

import (
	"context"

	"github.com/urfave/cli/v2"
)

func initVerb() *verb {
	return &verb{
		name: "init", brief: "found a mesh, then run its first peer",
		about: "The mesh is private, unless --open: joining needs a token, and the line to type on\n" +
			"the next computer is printed. slapd then runs until it is interrupted.",
		options: func() []cli.Flag {
			return append([]cli.Flag{
				&cli.StringFlag{Name: "mesh", Usage: "call the mesh `NAME`; the peer's, if not given"},
				&cli.BoolFlag{Name: "open", Usage: "let everybody join who knows the fingerprint"},
				&cli.BoolFlag{Name: "enroll-only", Usage: "do not run; \"slapd run\" does"},
			}, runFlags()...)
		},
		examples: []string{
			"slapd init",
			"slapd init --name castle --label country=FR --partitions 50",
			"slapd init --open --advertise mesh.example.org:7527",
		},
		run: func(ctx context.Context, i *invocation) error {
			run, err := i.runOptions()
			if err != nil {
				return err
			}
			return i.Peer.Init(ctx, InitOptions{
				RunOptions: run, Mesh: i.String("mesh"), Open: i.Bool("open"), EnrollOnly: i.Bool("enroll-only"),
			})
		},
	}
}
