package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/slapmesh/slapmesh/protocol"
)

func quoteVerb() *verb {
	return &verb{
		name: "quote", args: "RELEASE [REFERENCE]", min: 1, max: 2, brief: "where a request would be placed, and what it costs",
		about: "It takes what slapd request takes, and answers or refuses as that would, but nothing is reserved. The\n" +
			"price is for an hour of holding the partition and using all of --cores, --memory and --disk. A folder\n" +
			"with a release.star is published first.",
		options:  requestFlags,
		examples: []string{"slapd quote mariadb --cores 2 --memory 4GiB --policy cheapest", "slapd quote redis cache --filter country=FR --json"},
		run: func(ctx context.Context, i *invocation) error {
			if len(i.args) == 1 {
				i.args = append(i.args, "(quote)") // no instance that is there
			}
			in, err := i.requestInput()
			if err != nil {
				return err
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			if in.Release, err = i.release(ctx, service, in.Release, in.Account); err != nil {
				return err
			}
			q, err := service.Quote(ctx, in)
			if err != nil {
				return err
			}
			return i.show(q.Filled(), func(w io.Writer) { printQuote(w, q) })
		},
	}
}

func printQuote(w io.Writer, q protocol.Quote) {
	if q.Exists {
		row(w, "reference", q.Reference+" is there and stays where it is")
	}
	row(w, "computer", fmt.Sprintf("%s (%s) of %s", q.ComputerName, q.Computer, q.Owner))
	row(w, "release", fmt.Sprintf("%s of %s", q.Release, q.Publisher))
	row(w, "needs", q.Needs)
	row(w, "an hour", q.PriceHour)
	row(w, "at once", q.AtOnce)
	row(w, "set aside", q.SetAside)
	row(w, "rates of owner", describeRates(q.OwnerRates))
	row(w, "rates of publisher", describeRates(q.PublisherRates))
	if q.HostRates != nil {
		row(w, "rates of host", describeRates(*q.HostRates)+", to "+printable(q.Host))
	}
	for n, o := range q.Others {
		row(w, fmt.Sprint("otherwise ", n+1), fmt.Sprintf("%s (%s), %s an hour", o.ComputerName, o.Computer, o.PriceHour))
	}
}

// describeRates says what is not free.
func describeRates(r protocol.Rates) string {
	var parts []string
	for _, f := range rateFlags {
		if rate := *f.rate(&r); strings.Trim(rate, "0.") != "" {
			parts = append(parts, f.name+" "+rate)
		}
	}
	if len(r.Metrics) > 0 {
		parts = append(parts, pairs(r.Metrics))
	}
	if len(parts) == 0 {
		return "free"
	}
	return strings.Join(parts, ", ")
}
