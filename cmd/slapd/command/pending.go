package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func pendingVerb() *verb {
	return &verb{
		name: "pending", brief: "who asks to join, where strangers may ask",
		about:    "Operators only. Compare the id with what the other computer shows before you approve.",
		examples: []string{"slapd members pending", "slapd members approve 5kqz…", "slapd members refuse 5kqz… who are you?"},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			all, err := service.Pending(ctx)
			if err != nil {
				return err
			}
			return i.show(all, func(w io.Writer) {
				row(w, "PEER", "NAME", "FROM", "ASKED", "STATE")
				for _, a := range all {
					state := "waits"
					if a.Refused != "" {
						state = "refused: " + a.Refused
					}
					row(w, a.PeerID, a.Name, a.From, i.age(a.Asked), state)
				}
			})
		},
	}
}

func approveVerb() *verb {
	return &verb{
		name: "approve", args: "PEER", min: 1, max: 1, brief: "let in who asks to join",
		about: "Operators only. PEER is the id that the other computer shows, or the beginning of it.",
		options: func() []cli.Flag {
			return []cli.Flag{
				&cli.StringFlag{Name: "role", Usage: "`ROLE`: computer or voter", Value: "computer"},
				&cli.StringFlag{Name: "account", Usage: "it belongs to `ACCOUNT`, made if new; yours, if not given"},
			}
		},
		examples: []string{"slapd members approve 5kqz…", "slapd members approve 5kqz… --role voter", "slapd members approve 5kqz… --account ann"},
		run: func(ctx context.Context, i *invocation) error {
			role := protocol.Role(i.String("role"))
			if role != protocol.RoleVoter && role != protocol.RoleComputer {
				return usagef("--role %s: computer or voter", role)
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			a, err := service.Approve(ctx, i.args[0], protocol.ApproveInput{Role: role, Account: i.String("account")})
			if err != nil {
				return err
			}
			return i.show(a, func(w io.Writer) { fmt.Fprintf(w, "%s (%s) is a %s\n", a.PeerID, printable(a.Name), role) })
		},
	}
}

func refuseVerb() *verb {
	return &verb{
		name: "refuse", args: "PEER [REASON…]", min: 1, max: -1, brief: "tell who asks to join that it may not",
		about:    "Operators only. It is told why, and is not asked about again for a day.",
		examples: []string{"slapd members refuse 5kqz…", "slapd members refuse 5kqz… ask me in person"},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			a, err := service.Refuse(ctx, i.args[0], protocol.RefuseInput{Reason: cmp.Or(strings.Join(i.args[1:], " "), "no reason was given")})
			if err != nil {
				return err
			}
			return i.show(a, func(w io.Writer) { fmt.Fprintf(w, "%s (%s) is refused\n", a.PeerID, printable(a.Name)) })
		},
	}
}
