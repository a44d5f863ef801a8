package command

import (
	"context"
	"io"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

// quotaKinds are what a quota bounds, in the order in which it is shown.
var quotaKinds = []struct {
	name, value, usage string
	parse              func(string) (int64, error)
	format             func(int64) string
	in                 func(*protocol.QuotaInput) **int64
	most               func(protocol.Quota) *int64
	used               func(protocol.Holdings) int64
}{
	{
		"instances", "N", "that are not gone", parseCount, formatCount, func(q *protocol.QuotaInput) **int64 { return &q.Instances },
		func(q protocol.Quota) *int64 { return q.Instances }, func(h protocol.Holdings) int64 { return h.Instances },
	},
	{
		"computers", "N", "that it offers", parseCount, formatCount, func(q *protocol.QuotaInput) **int64 { return &q.Computers },
		func(q protocol.Quota) *int64 { return q.Computers }, func(h protocol.Holdings) int64 { return h.Computers },
	},
	{
		"tokens", "N", "that can still be used", parseCount, formatCount, func(q *protocol.QuotaInput) **int64 { return &q.Tokens },
		func(q protocol.Quota) *int64 { return q.Tokens }, func(h protocol.Holdings) int64 { return h.Tokens },
	},
	{
		"cores", "N", "that its instances need together", protocol.ParseCores, protocol.FormatCores, func(q *protocol.QuotaInput) **int64 { return &q.Millicores },
		func(q protocol.Quota) *int64 { return q.Millicores }, func(h protocol.Holdings) int64 { return h.Millicores },
	},
	{
		"memory", "SIZE", "that its instances need together", protocol.ParseSize, protocol.FormatSize, func(q *protocol.QuotaInput) **int64 { return &q.Memory },
		func(q protocol.Quota) *int64 { return q.Memory }, func(h protocol.Holdings) int64 { return h.Memory },
	},
	{
		"disk", "SIZE", "that its instances need together", protocol.ParseSize, protocol.FormatSize, func(q *protocol.QuotaInput) **int64 { return &q.Disk },
		func(q protocol.Quota) *int64 { return q.Disk }, func(h protocol.Holdings) int64 { return h.Disk },
	},
	{
		"bandwidth", "RATE", "that its instances need together", protocol.ParseBandwidth, protocol.FormatBandwidth, func(q *protocol.QuotaInput) **int64 { return &q.Bandwidth },
		func(q protocol.Quota) *int64 { return q.Bandwidth }, func(h protocol.Holdings) int64 { return h.Bandwidth },
	},
}

// maxCount is the most that a quota of things can be.
const maxCount = 1_000_000_000

func parseCount(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > maxCount {
		return 0, usagef("%.40q: 0 to %d, or none, wanted", text, maxCount)
	}
	return n, nil
}

func formatCount(n int64) string { return strconv.FormatInt(n, 10) }

func quotaVerb() *verb {
	return &verb{
		name: "quota", args: "NAME", min: 1, max: 1, brief: "what a project, or a user, may have; operators set it",
		about: "Without an option, it is shown. What is not named keeps its value; none lifts a bound. Who has a quota of\n" +
			"cores, memory, disk or bandwidth must say what each instance needs (slapd request --memory SIZE). A quota below what\n" +
			"is there takes nothing away.",
		options: func() []cli.Flag {
			var flags []cli.Flag
			for _, k := range quotaKinds {
				flags = append(flags, &cli.StringFlag{Name: k.name, Usage: "at most `" + k.value + "` " + k.name + " " + k.usage + ", or none"})
			}
			return flags
		},
		examples: []string{"slapd project quota acme", "slapd project quota acme --instances 10 --memory 64GiB", "slapd project quota bob --instances none"},
		run: func(ctx context.Context, i *invocation) error {
			name := i.args[0]
			in, given, err := i.quota()
			if err := wrong(err, protocol.CheckAccount(name)); err != nil {
				return err
			}
			return answer(i, func(s protocol.Service) (out quotaShown, err error) {
				if given {
					if _, err := s.SetQuota(ctx, name, in); err != nil {
						return out, err
					}
				}
				return quotaOf(ctx, s, name)
			}, func(w io.Writer, q quotaShown) { printQuota(w, q.Quota, q.Used) })
		},
	}
}

// quota reads what is to change.
func (i *invocation) quota() (in protocol.QuotaInput, given bool, err error) {
	for _, k := range quotaKinds {
		if !i.IsSet(k.name) {
			continue
		}
		n, text := int64(-1), i.String(k.name)
		if text != "none" {
			if n, err = k.parse(text); err != nil {
				return in, given, usagef("--%s %v", k.name, err)
			}
		}
		*k.in(&in), given = &n, true
	}
	return in, given, in.Check()
}

// A quotaShown is what an account may have, and what it has.
type quotaShown struct {
	Account string            `json:"account"`
	Quota   protocol.Quota    `json:"quota"`
	Used    protocol.Holdings `json:"used"`
}

// quotaOf finds the quota of a project, or else of a user.
func quotaOf(ctx context.Context, s protocol.Service, name string) (quotaShown, error) {
	p, unknown := s.Project(ctx, name)
	if unknown == nil {
		return quotaShown{name, p.Quota, p.Used}, nil
	}
	users, err := s.Users(ctx)
	for _, u := range users {
		if u.Account == name {
			return quotaShown{name, u.Quota, u.Used}, nil
		}
	}
	if err == nil {
		err = unknown
	}
	return quotaShown{}, err
}

func printQuota(w io.Writer, q protocol.Quota, used protocol.Holdings) {
	for _, k := range quotaKinds {
		most := "no bound"
		if n := k.most(q); n != nil {
			most = "at most " + k.format(*n)
		}
		row(w, k.name, k.format(k.used(used)), most)
	}
}
