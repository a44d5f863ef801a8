package command

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func invoiceVerb() *verb {
	return &verb{
		name: "invoice", brief: "what an account had, paid and got in a period",
		about: "It is added up from history, entry by entry: slapd ledger verify checks that, and slapd\n" +
			"ledger export shows the entries. Times are UTC. With --tree, only instances of that tree.",
		options: func() []cli.Flag {
			return append(periodFlags(),
				&cli.StringFlag{Name: "account", Usage: "of `ACCOUNT`, not yours"},
				&cli.StringFlag{Name: "tree", Usage: "only the instance `REFERENCE` and those that it requested"})
		},
		examples: []string{"slapd invoice --period 2026-11", "slapd invoice --from 2026-11-01 --until 2026-12-01 --json", "slapd invoice --tree shop"},
		run: func(ctx context.Context, i *invocation) error {
			from, until, err := i.period()
			if err != nil {
				return err
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			v, err := service.Invoice(ctx, protocol.InvoiceInput{Account: i.String("account"), From: from, Until: until, Tree: i.String("tree")})
			if err != nil {
				return err
			}
			return i.show(v.Filled(), func(w io.Writer) { printInvoice(w, v) })
		},
	}
}

func printInvoice(w io.Writer, v protocol.Invoice) {
	row(w, "account", v.Account)
	row(w, "period", bound(v.From, "the beginning")+" to "+bound(v.Until, "now"))
	row(w, "opening balance", v.Opening)
	row(w, "paid for instances", v.Paid)
	row(w, "earned from instances", v.Earned)
	row(w, "closing balance", v.Closing)
	if len(v.Lines) > 0 {
		fmt.Fprintln(w)
		row(w, "INSTANCE", "REFERENCE", "TREE", "RELEASE", "COMPUTER", "PAYER", "CORE H", "MEMORY GIB H", "DISK GIB H", "NETWORK GIB", "PARTITION H", "REQUESTS", "METRICS", "AMOUNT")
		for _, l := range v.Lines {
			row(w, l.Instance, l.Reference, l.Tree, l.Release, l.Computer, l.Payer,
				per(l.Used["core-nanoseconds"], float64(time.Hour)), per(l.Used["memory-byte-seconds"], 3600<<30),
				per(l.Used["disk-byte-seconds"], 3600<<30), per(l.Used["network-bytes"], 1<<30),
				per(l.Used["partition-nanoseconds"], float64(time.Hour)), whole(l.Used["requests"]), pairs(metrics(l.Used)), l.Amount)
		}
	}
	if len(v.Payments) > 0 {
		fmt.Fprintln(w)
		row(w, "ENTRY", "AT", "WHAT", "WITH", "AMOUNT")
		for _, p := range v.Payments {
			row(w, p.Entry, moment(p.At), p.Kind, strings.Join(p.Other, ", "), p.Amount)
		}
	}
}

func bound(at *time.Time, none string) string {
	if at == nil {
		return none
	}
	return at.UTC().Format(time.RFC3339)
}

// per prints a quantity in a larger unit.
func per(n uint64, unit float64) string {
	return large(float64(n) / unit)
}

// metrics returns what the profile of a release counted.
func metrics(used map[string]uint64) map[string]uint64 {
	counted := make(map[string]uint64)
	for unit, n := range used {
		if metric, ok := strings.CutPrefix(unit, "metric "); ok {
			counted[metric] = n
		}
	}
	return counted
}
