package command

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func statementVerb() *verb {
	return &verb{
		name: "statement", brief: "what an account has, what it has set aside, and its bills",
		about: "Bills are those that run, and the last of those that have ended. An instance is paid\n" +
			"to the owner of its computer, who leaves the mesh its fee, and to the publisher of its\n" +
			"release. What is earned is shown as far as this peer knows it. With --json, each bill also\n" +
			"says how much was used.",
		options: func() []cli.Flag {
			return []cli.Flag{&cli.StringFlag{Name: "account", Usage: "of `ACCOUNT`: a project of yours, or any for operators"}}
		},
		examples: []string{"slapd statement", "slapd statement --json", "slapd statement --account bob"},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			s, err := service.Statement(ctx, i.String("account"))
			if err != nil {
				return err
			}
			return i.show(s.Filled(), func(w io.Writer) { i.printStatement(w, s) })
		},
	}
}

func (i *invocation) printStatement(w io.Writer, s protocol.Statement) {
	i.printWallet(w, s)
	if len(s.Pays) > 0 {
		fmt.Fprintln(w)
		row(w, "PAYS FOR", "RELEASE", "COMPUTER", "FROM", "UNTIL", "BILLED TO", "TOTAL", "VERDICT", "NOTE")
		for _, b := range s.Pays {
			row(w, b.Reference, b.Release, b.Computer, moment(b.From), ended(b.Until), moment(b.Billed), b.Total, b.Verdict, b.Note)
		}
	}
	if len(s.Earns) > 0 {
		fmt.Fprintln(w)
		row(w, "EARNS FROM", "PAYER", "RELEASE", "COMPUTER", "FROM", "UNTIL", "BILLED TO", "TO OWNER", "TO PUBLISHER", "FEE", "VERDICT", "NOTE")
		for _, b := range s.Earns {
			row(w, b.Reference, b.Payer, b.Release, b.Computer, moment(b.From), ended(b.Until), moment(b.Billed),
				share(b.ToOwner, b.Owner, s.Account), share(b.ToRelease, b.Publisher, s.Account), share(b.ToMesh, b.Owner, s.Account), b.Verdict, b.Note)
			for _, f := range b.FormerOwners {
				if f.Owner == s.Account {
					row(w, b.Reference, b.Payer, b.Release, b.Computer, moment(b.From), moment(f.Until), moment(b.Billed), f.ToOwner, "", f.ToMesh, b.Verdict, b.Note)
				}
			}
		}
	}
}

// printWallet prints what an account has, without its bills.
func (i *invocation) printWallet(w io.Writer, s protocol.Statement) {
	row(w, "account", s.Account)
	row(w, "balance", s.Balance)
	row(w, "set aside", s.Reserved)
	if s.Limited {
		row(w, "limit", s.Limit+" below zero")
		row(w, "free", s.Free)
	} else {
		row(w, "limit", "none")
	}
	if s.Short == nil {
		return
	}
	text := fmt.Sprintf("for %s, since %s: more was spent than may be", i.age(*s.Short), moment(*s.Short))
	if s.StopsAt != nil {
		text += fmt.Sprintf("; its instances are stopped from %s on", moment(*s.StopsAt))
	}
	row(w, "short", text)
}

// share is what goes to somebody, if that is whose statement it is.
func share(sum, whose, account string) string {
	if whose != account {
		return ""
	}
	return sum
}

func ended(until *time.Time) string {
	if until == nil {
		return "runs"
	}
	return moment(*until)
}
