package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func statementVerb() *verb {
	return &verb{
		name: "statement", brief: "what an account has, what it has set aside, and its bills",
		about: "Bills are those that run, and the last of those that have ended. An instance is paid\n" +
			"to the owner of its computer, who leaves the mesh its fee, and to the publisher of its\n" +
			"release. What is earned is shown as far as this peer knows it. What each instance used is\n" +
			"shown in the units that have prices.",
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
		row(w, "PAYS FOR", "RELEASE", "COMPUTER", "NAME", "FROM", "UNTIL", "BILLED TO", "TOTAL", "VERDICT", "NOTE")
		for _, b := range s.Pays {
			row(w, b.Reference, b.Release, b.Computer, b.ComputerName, moment(b.From), ended(b.Until), moment(b.Billed), b.Total, verdict(b), b.Note)
		}
	}
	if len(s.Earns) > 0 {
		fmt.Fprintln(w)
		row(w, "EARNS FROM", "PAYER", "RELEASE", "COMPUTER", "NAME", "FROM", "UNTIL", "BILLED TO", "TO OWNER", "TO PUBLISHER", "TO HOST", "FEE", "VERDICT", "NOTE")
		for _, b := range s.Earns {
			host := protocol.HostShare{}
			if b.Host != nil {
				host = *b.Host
			}
			fees := []string{share(b.ToMesh, b.Owner, s.Account), share(host.ToMesh, host.Account, s.Account)}
			row(w, b.Reference, b.Payer, b.Release, b.Computer, b.ComputerName, moment(b.From), ended(b.Until), moment(b.Billed),
				share(b.ToOwner, b.Owner, s.Account), share(b.ToRelease, b.Publisher, s.Account), share(host.ToHost, host.Account, s.Account),
				strings.Trim(strings.Join(fees, " + "), " +"), verdict(b), b.Note)
			for _, f := range b.FormerOwners {
				if f.Owner == s.Account {
					row(w, b.Reference, b.Payer, b.Release, b.Computer, b.ComputerName, moment(b.From), moment(f.Until), moment(b.Billed), f.ToOwner, "", "", f.ToMesh, verdict(b), b.Note)
				}
			}
		}
	}
	bills := slices.Concat(s.Pays, s.Earns)
	printUsed(w, bills)
	several := slices.DeleteFunc(bills, func(b protocol.Bill) bool { return len(b.Reviews) < 2 }) // one is beside its bill
	if len(several) > 0 {
		fmt.Fprintln(w)
		printReviews(w, several)
	}
}

// printReviews prints all that payers said of bills.
func printReviews(w io.Writer, bills []protocol.Bill) {
	for n, b := range bills {
		if n == 0 {
			row(w, "REVIEW OF", "PAYER", "FROM", "THROUGH", "VERDICT", "SAID", "NOTE")
		}
		for _, r := range b.Reviews {
			row(w, b.Reference, b.Payer, moment(r.From), moment(r.Through), r.Verdict, moment(r.At), r.Note)
		}
	}
}

// printUsed prints what was used, of the bills of which anything was.
func printUsed(w io.Writer, bills []protocol.Bill) {
	begun := false
	for _, b := range bills {
		u := b.Used
		cells := [...]string{
			large(u.Core / 3600), large(u.Memory), large(u.Disk), large(float64(u.Network) / (1 << 30)), large(u.Partition), whole(u.Requests), pairs(u.Metrics),
		}
		if strings.Join(cells[:], "") == "" {
			continue
		}
		if !begun {
			begun = true
			fmt.Fprintln(w)
			row(w, "USED BY", "PAYER", "CORE H", "MEMORY GIB H", "DISK GIB H", "NETWORK GIB", "PARTITION H", "REQUESTS", "METRICS")
		}
		row(w, b.Reference, b.Payer, cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6])
	}
}

// large prints a quantity in the unit of its price.
func large(n float64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%.6f", n)
}

func whole(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
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
