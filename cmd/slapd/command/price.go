package command

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func priceVerb() *verb {
	return &verb{
		name: "price", brief: "what accounts ask for their computers and releases; set a price",
		about: "Prices are in credits. A row without a release is for the account's computers; one with\n" +
			"places is for shared instances inside the account's instances of the release. What has no\n" +
			"price is free. A row that begins later is not in force yet.",
		examples: []string{"slapd price", "slapd price --json", "slapd price set --core-hour 0.02 --memory-gib-hour 0.005"},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			prices, err := service.Prices(ctx)
			if err != nil {
				return err
			}
			return i.show(prices, func(w io.Writer) { printPrices(w, prices) })
		},
		subs: []*verb{priceSetVerb()},
	}
}

func printPrices(w io.Writer, prices []protocol.Price) {
	row(w, "ACCOUNT", "RELEASE", "FOR", "CORE H", "MEMORY GIB H", "DISK GIB H", "NETWORK GIB", "PARTITION H", "REQUEST", "METRICS", "FROM")
	one := func(p protocol.Price, r protocol.Rates, from time.Time) {
		row(w, p.Account, p.Release, priced(p), r.Core, r.Memory, r.Disk, r.Network, r.Partition, r.Request, pairs(r.Metrics), moment(from))
	}
	for _, p := range prices {
		one(p, p.Rates, p.From)
		for _, v := range p.Next {
			one(p, v.Rates, v.From)
		}
	}
}

// priced says what a price is for.
func priced(p protocol.Price) string {
	switch {
	case p.Places:
		return "places inside"
	case p.Release != "":
		return "release"
	}
	return "computers"
}

// moment prints a time that matters to the minute, or nothing for none.
func moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Format("2006-01-02 15:04")
}

// rateFlags are the units that have a price, and where each goes.
var rateFlags = []struct {
	name, unit string
	rate       func(*protocol.Rates) *string
}{
	{"core-hour", "an hour of one core", func(r *protocol.Rates) *string { return &r.Core }},
	{"memory-gib-hour", "a GiB of memory and an hour", func(r *protocol.Rates) *string { return &r.Memory }},
	{"disk-gib-hour", "a GiB of disk and an hour", func(r *protocol.Rates) *string { return &r.Disk }},
	{"network-gib", "a GiB, in or out", func(r *protocol.Rates) *string { return &r.Network }},
	{"partition-hour", "an hour that a partition is held", func(r *protocol.Rates) *string { return &r.Partition }},
	{"request", "each instance, once", func(r *protocol.Rates) *string { return &r.Request }},
}

func priceSetVerb() *verb {
	return &verb{
		name: "set", args: "[RELEASE]", max: 1, brief: "say what your account asks for its computers, a release, or places inside its instances",
		about: "RELEASE is the name of a release that the account has published; without one, the\n" +
			"price is for its computers. With --places it is for shared instances inside the account's\n" +
			"instances of any release: --partition-hour for an hour that a place is held. What is not given\n" +
			"is free. A price never begins in the past, and replaces those that were to begin later.",
		options: func() []cli.Flag {
			var flags []cli.Flag
			for _, f := range rateFlags {
				flags = append(flags, &cli.StringFlag{Name: f.name, Usage: "`CREDITS` for " + f.unit})
			}
			return append(flags,
				&cli.StringSliceFlag{Name: "metric", Usage: "`NAME=CREDITS` for a unit of what the release counts; may be repeated"},
				&cli.BoolFlag{Name: "places", Usage: "for places inside the account's instances of RELEASE"},
				&cli.StringFlag{Name: "from", Usage: "begin at `TIME`, such as 2027-01-31T12:00:00Z, or +24h or +7d from now; now, if not given"},
				&cli.StringFlag{Name: "account", Usage: "of `ACCOUNT`: a project of yours, or any for operators"},
			)
		},
		examples: []string{
			"slapd price set --core-hour 0.02 --memory-gib-hour 0.005 --partition-hour 0.001",
			"slapd price set my-release --request 0.50 --metric mails=0.0001 --from +7d",
			"slapd price set mariadb --places --partition-hour 0.0005",
			"slapd price set --core-hour 0",
		},
		run: func(ctx context.Context, i *invocation) error {
			in, err := i.priceInput()
			if err != nil {
				return err
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			p, err := service.SetPrice(ctx, in)
			if err != nil {
				return err
			}
			return i.show(p.Filled(), func(w io.Writer) { printPrices(w, []protocol.Price{p}) })
		},
	}
}

func (i *invocation) priceInput() (in protocol.PriceInput, err error) {
	in.Account, in.Places = i.String("account"), i.Bool("places")
	if len(i.args) == 1 {
		in.Release = i.args[0]
	}
	given := false
	for _, f := range rateFlags {
		text := i.String(f.name)
		if !i.IsSet(f.name) {
			continue
		}
		given = true
		if err := protocol.CheckRate(text); err != nil {
			return in, usagef("--%s %v", f.name, err)
		}
		*f.rate(&in.Rates) = text
	}
	if in.Rates.Metrics, err = i.settings("metric"); err != nil {
		return in, err
	}
	for _, name := range slices.Sorted(maps.Keys(in.Rates.Metrics)) {
		if err := protocol.CheckRate(in.Rates.Metrics[name]); err != nil {
			return in, usagef("--metric %s=%v", name, err)
		}
	}
	if !given && in.Rates.Metrics == nil {
		var all []string
		for _, f := range rateFlags {
			all = append(all, "--"+f.name)
		}
		return in, usagef("no price is given: at least one of %s, --metric; 0 is free", strings.Join(all, ", "))
	}
	in.From, err = i.moment("from")
	return in, wrong(err, in.Check())
}

// moment reads a flag with a time, or with how much later than now it is.
func (i *invocation) moment(flag string) (time.Time, error) {
	text := i.String(flag)
	if !i.IsSet(flag) {
		return time.Time{}, nil
	}
	if later, is := strings.CutPrefix(text, "+"); is {
		if d, err := duration(later); err == nil && d > 0 {
			return i.Now().Add(d).UTC(), nil
		}
	} else if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	return time.Time{}, usagef("--%s %s: a time such as 2027-01-31T12:00:00Z, or +24h or +7d from now wanted", flag, text)
}

// duration reads a duration that may be in days, such as 7d.
func duration(text string) (time.Duration, error) {
	if days, is := strings.CutSuffix(text, "d"); is {
		d, err := time.ParseDuration(days + "h") // as many hours
		if err != nil || d > 1e5*time.Hour {
			return 0, fmt.Errorf("%q: too long, or no number of days", text)
		}
		return 24 * d, nil
	}
	return time.ParseDuration(text)
}

// wrong is the first error, as one of usage.
func wrong(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return usagef("%v", err)
		}
	}
	return nil
}
