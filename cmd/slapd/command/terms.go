package command

import (
	"context"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func termsVerb() *verb {
	return &verb{
		name: "terms", brief: "what the mesh agrees on about money; change it",
		about: "Only operators change it; what is not given keeps its value. The fee is the part of what\n" +
			"owners of computers earn that the mesh keeps. The grace is how long who has spent too much\n" +
			"may go on. A request sets aside what it costs at least for as long as the reserve says.",
		options: func() []cli.Flag {
			return []cli.Flag{
				&cli.StringFlag{Name: "fee", Usage: "`PERCENT` of what owners earn, with up to four decimals"},
				&cli.StringFlag{Name: "grace", Usage: "`TIME` such as 24h or 7d"},
				&cli.StringFlag{Name: "reserve", Usage: "`TIME` such as 1h"},
			}
		},
		examples: []string{"slapd terms", "slapd terms --fee 2.5", "slapd terms --grace 7d --reserve 1h"},
		run: func(ctx context.Context, i *invocation) error {
			set, err := i.newTerms()
			if err != nil {
				return err
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			t, err := service.Terms(ctx)
			if err == nil && set != nil {
				set(&t)
				t, err = service.SetTerms(ctx, t)
			}
			if err != nil {
				return err
			}
			return i.show(t, func(w io.Writer) {
				row(w, "fee", t.Fee+" percent")
				row(w, "grace", t.Grace)
				row(w, "reserve", t.Reserve)
			})
		},
	}
}

// newTerms returns what the flags change, or nil if there are none.
func (i *invocation) newTerms() (func(*protocol.Terms), error) {
	var in protocol.Terms
	given := false
	if i.IsSet("fee") {
		in.Fee, given = i.String("fee"), true
		if err := protocol.CheckFee(in.Fee); err != nil {
			return nil, usagef("--fee %v", err)
		}
	}
	for _, f := range [...]struct {
		flag string
		to   *string
	}{{"grace", &in.Grace}, {"reserve", &in.Reserve}} {
		if !i.IsSet(f.flag) {
			continue
		}
		given = true
		*f.to = i.String(f.flag)
		if d, err := duration(*f.to); err == nil {
			*f.to = d.String() // days are not known to others
		}
		if err := protocol.CheckTerm(*f.to); err != nil {
			return nil, usagef("--%s %v", f.flag, err)
		}
	}
	if !given {
		return nil, nil
	}
	return func(t *protocol.Terms) {
		for _, f := range [...]struct{ from, to *string }{{&in.Fee, &t.Fee}, {&in.Grace, &t.Grace}, {&in.Reserve, &t.Reserve}} {
			if *f.from != "" {
				*f.to = *f.from
			}
		}
	}, nil
}
