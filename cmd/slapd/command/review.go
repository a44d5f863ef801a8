package command

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func reviewVerb() *verb {
	return &verb{
		name: "review", args: "REFERENCE accepted|disputed", min: 2, max: 2, brief: "accept or dispute what was billed for an instance",
		about: "All that is billed up to now is meant. The verdict is kept in the ledger and moves no\n" +
			"money: a correction is a payment.",
		options: func() []cli.Flag {
			return []cli.Flag{
				&cli.StringFlag{Name: "note", Usage: "`TEXT` that says why"},
				accountFlag(),
			}
		},
		examples: []string{"slapd review db1 accepted", "slapd review db1 disputed --note 'it was down on Sunday'"},
		run: func(ctx context.Context, i *invocation) error {
			in := protocol.ReviewInput{
				Account: i.String("account"), Reference: i.args[0], Verdict: i.args[1], Note: i.String("note"),
			}
			if err := wrong(in.Check()); err != nil {
				return err
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			b, err := service.ReviewBill(ctx, in)
			if err != nil {
				return err
			}
			return i.show(b, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %s up to %s is %s\n", printable(b.Reference), b.Total, moment(b.Billed), b.Verdict)
			})
		},
	}
}
