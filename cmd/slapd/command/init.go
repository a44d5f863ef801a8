package command

import (
	"context"

	"github.com/urfave/cli/v2"
)

func initVerb() *verb {
	return &verb{
		name: "init", brief: "found a mesh, then run its first peer",
		about: "The mesh is private, unless --open: joining needs a token, and the line to type on\n" +
			"the next computer is printed. With --approve that line has no token: each computer that types it\n" +
			"waits until an operator lets it in (slapd members pending, there). slapd then runs until it is interrupted.",
		options: func() []cli.Flag {
			return append([]cli.Flag{
				&cli.StringFlag{Name: "mesh", Usage: "call the mesh `NAME`; the peer's, if not given"},
				&cli.BoolFlag{Name: "open", Usage: "let everybody join who knows the fingerprint"},
				&cli.BoolFlag{Name: "approve", Usage: "let everybody ask to join who knows the fingerprint; \"slapd members approve\" lets them in"},
				&cli.BoolFlag{Name: "enroll-only", Usage: "do not run; \"slapd run\" does"},
			}, runFlags()...)
		},
		examples: []string{
			"slapd init",
			"slapd init --name castle --label country=FR --partitions 50",
			"slapd init --approve",
			"slapd init --open --advertise mesh.example.org:7527",
		},
		run: func(ctx context.Context, i *invocation) error {
			if i.Bool("open") && i.Bool("approve") {
				return usagef("--open and --approve: in an open mesh nobody has to be let in; give one of them")
			}
			run, err := i.runOptions()
			if err != nil {
				return err
			}
			return i.Peer.Init(ctx, InitOptions{
				RunOptions: run, Mesh: i.String("mesh"), Open: i.Bool("open"), Approve: i.Bool("approve"), EnrollOnly: i.Bool("enroll-only"),
			})
		},
	}
}
