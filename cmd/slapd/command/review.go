package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func reviewVerb() *verb {
	return &verb{
		name: "review", args: "[REFERENCE [accepted|disputed]]", max: 2, brief: "accept or dispute what was billed for an instance; what was said of bills",
		about: "Without a verdict it lists what was said: of all bills that the account pays or earns from,\n" +
			"or of that of one instance. With one, all that is billed up to now is meant, or what was\n" +
			"used up to the end of --through. The verdict is kept in the ledger and moves no money: a\n" +
			"correction is a payment.",
		options: func() []cli.Flag {
			return []cli.Flag{
				&cli.StringFlag{Name: "from", Usage: "only usage from `TIME` on, or from the beginning of a day, month or year"},
				&cli.StringFlag{Name: "through", Usage: "only usage up to `TIME`, such as 2026-11-22T12:00:00Z, or up to the end of a day, month or year in UTC: 2026-11"},
				&cli.StringFlag{Name: "note", Usage: "`TEXT` that says why"},
				accountFlag(),
			}
		},
		examples: []string{"slapd review", "slapd review db1", "slapd review db1 accepted", "slapd review db1 disputed --note 'it was down on Sunday'", "slapd review db1 accepted --through 2026-10", "slapd review db1 disputed --from 2026-10-04 --through 2026-10-04"},
		run: func(ctx context.Context, i *invocation) error {
			if len(i.args) < 2 {
				return i.reviews(ctx)
			}
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

// reviews prints what was said of the account's bills, or of one of them.
func (i *invocation) reviews(ctx context.Context) error {
	for _, flag := range []string{"from", "through", "note"} {
		if i.IsSet(flag) {
			return usagef("--%s says something of a bill: accepted or disputed is missing", flag)
		}
	}
	service, err := i.service()
	if err != nil {
		return err
	}
	s, err := service.Statement(ctx, i.String("account"))
	if err != nil {
		return err
	}
	bills := slices.Concat(s.Pays, s.Earns)
	if len(i.args) == 1 {
		bills = slices.DeleteFunc(bills, func(b protocol.Bill) bool { return b.Reference != i.args[0] && b.Instance != i.args[0] })
		if len(bills) == 0 {
			return fmt.Errorf("%s: %s has no bill of it: see \"slapd statement\"", i.args[0], s.Account)
		}
	}
	bills = slices.DeleteFunc(bills, func(b protocol.Bill) bool { return b.Verdict == "" })
	out := make([]reviewedBill, 0, len(bills))
	for n, b := range bills {
		if len(b.Reviews) == 0 && b.Through != nil { // an older peer, or one review from before rules 4
			b.Reviews = []protocol.Review{{Verdict: b.Verdict, From: b.From, Through: *b.Through, Note: b.Note}}
			bills[n] = b
		}
		out = append(out, reviewedBill{b.Instance, b.Reference, b.Payer, b.Reviews})
	}
	return i.show(out, func(w io.Writer) {
		if len(bills) == 0 {
			fmt.Fprintln(w, "nothing was said of a bill")
			return
		}
		printReviews(w, bills)
	})
}

// A reviewedBill is what a payer said of a bill.
type reviewedBill struct {
	Instance  string            `json:"instance"`
	Reference string            `json:"reference"`
	Payer     string            `json:"payer"`
	Reviews   []protocol.Review `json:"reviews"`
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
