package command

import "context"

func runVerb() *verb {
	return &verb{
		name: "run", brief: "run this computer's peer again",
		about: "A flag that is given now replaces what was remembered. Instances ran on meanwhile\n" +
			"and are found again.",
		options: runFlags,
		examples: []string{
			"slapd run",
			"slapd run --partitions 20",
			"slapd run --dir /srv/slapd --log debug",
		},
		run: func(ctx context.Context, i *invocation) error {
			opt, err := i.runOptions()
			if err != nil {
				return err
			}
			return i.Peer.Run(ctx, opt)
		},
	}
}
