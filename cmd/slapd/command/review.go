package command

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func reviewVerb() *verb {
	return &verb{
		name: "review", args: "REFERENCE accepted|disputed", min: 2, max: 2, brief: "accept or dispute what was billed for an instance",
		about: "All that is billed up to now is meant, or what was used up to the end of --through. The\n" +
			"verdict is kept in the ledger and moves no money: a correction is a payment.",
		options: func() []cli.Flag {
			return []cli.Flag{
				&cli.StringFlag{Name: "from", Usage: "only usage from `TIME` on, or from the beginning of a day, month or year"},
				&cli.StringFlag{Name: "through", Usage: "only usage up to `TIME`, such as 2026-11-22T12:00:00Z, or up to the end of a day, month or year in UTC: 2026-11"},
				&cli.StringFlag{Name: "note", Usage: "`TEXT` that says why"},
				accountFlag(),
			}
		},
		examples: []string{"slapd review db1 accepted", "slapd review db1 disputed --note 'it was down on Sunday'", "slapd review db1 accepted --through 2026-10", "slapd review db1 disputed --from 2026-10-04 --through 2026-10-04"},
		run: func(ctx context.Context, i *invocation) error {
			in := protocol.ReviewInput{
				Account: i.String("account"), Reference: i.args[0], Verdict: i.args[1], Note: i.String("note"),
			}
			var err error
			if in.From, err = i.bound("from", false); err != nil {
				return err
			}
			in.Through, err = i.bound("through", true)
			if err := wrong(err, in.Check()); err != nil {
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
				if !in.From.IsZero() && b.Through != nil {
					fmt.Fprintf(w, "%s: what it used from %s to %s is %s\n", printable(b.Reference), moment(in.From), moment(*b.Through), b.Verdict)
					return
				}
				if partly(b) {
					fmt.Fprintf(w, "%s: what it used up to %s is %s\n", printable(b.Reference), moment(*b.Through), b.Verdict)
					return
				}
				fmt.Fprintf(w, "%s: %s up to %s is %s\n", printable(b.Reference), b.Total, moment(b.Billed), b.Verdict)
			})
		},
	}
}

// bound reads a flag: a time, or the end or the beginning of what the calendar
// has. Without it the time is zero.
func (i *invocation) bound(flag string, end bool) (time.Time, error) {
	text := i.String(flag)
	if !i.IsSet(flag) {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	begins, ends, ok := calendar(text)
	switch {
	case !ok:
		return time.Time{}, usagef("--%s %s: a time such as 2026-11-22T12:00:00Z, or a day, month or year wanted", flag, text)
	case end:
		return ends, nil
	}
	return begins, nil
}

// partly says whether the verdict is about a part of what is billed.
func partly(b protocol.Bill) bool { return b.Through != nil && b.Through.Before(b.Billed) }

// verdict prints what the payer thinks of a bill.
func verdict(b protocol.Bill) string {
	if partly(b) {
		return b.Verdict + " to " + moment(*b.Through)
	}
	return b.Verdict
}
