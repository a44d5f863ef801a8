package command

import (
	"cmp"
	"context"

	"github.com/urfave/cli/v2"
)

func joinVerb() *verb {
	return &verb{
		name: "join", args: "HOST[:PORT][#FINGERPRINT]", min: 1, max: 1,
		brief: "join a mesh through any of its peers, then run",
		about: "A private mesh wants a token: \"slapd init\" and \"slapd token create\" print the whole\n" +
			"line. An open mesh wants its fingerprint behind the address. The token may also be\n" +
			"in SLAPD_TOKEN.",
		options: func() []cli.Flag {
			return append([]cli.Flag{
				&cli.StringFlag{Name: "token", Usage: "what admits this computer: `slapd1-…`"},
				&cli.BoolFlag{Name: "enroll-only", Usage: "do not run; \"slapd run\" does"},
			}, runFlags()...)
		},
		examples: []string{
			"slapd join 192.0.2.1 --token slapd1-…",
			"slapd join mesh.example.org:7527#ab12…",
			"slapd join 192.0.2.1 --token slapd1-… --name attic --label country=FR",
		},
		run: func(ctx context.Context, i *invocation) error {
			run, err := i.runOptions()
			if err != nil {
				return err
			}
			return i.Peer.Join(ctx, JoinOptions{
				RunOptions: run, Address: i.args[0], EnrollOnly: i.Bool("enroll-only"),
				Token: cmp.Or(i.String("token"), i.Env("SLAPD_TOKEN")),
			})
		},
	}
}
