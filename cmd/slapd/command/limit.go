package command

import (
	"context"
	"io"

	"github.com/slapmesh/slapmesh/protocol"
)

func limitVerb() *verb {
	return &verb{
		name: "limit", args: "ACCOUNT SUM|none", min: 2, max: 2, brief: "say how far the balance of an account may go below zero",
		about: "Operators only. Requests that an account cannot pay are refused; one that has spent more\n" +
			"than it may has its instances stopped after the grace (see slapd terms).",
		examples: []string{"slapd limit bob 100", "slapd limit bob 0", "slapd limit bob none"},
		run: func(ctx context.Context, i *invocation) error {
			in := protocol.LimitInput{Account: i.args[0]}
			if sum := i.args[1]; sum != "none" {
				if err := protocol.CheckSum(sum); err != nil {
					return usagef("SUM %v, or none", err)
				}
				in.Limit = &sum
			}
			if err := wrong(in.Check()); err != nil {
				return err
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			s, err := service.SetLimit(ctx, in)
			if err != nil {
				return err
			}
			return i.show(s.Filled(), func(w io.Writer) { i.printWallet(w, s) })
		},
	}
}
