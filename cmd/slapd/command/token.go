package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func tokenVerb() *verb {
	return &verb{
		name: "token", args: "create|list|revoke", brief: "make, list and revoke tokens",
		examples: []string{"slapd token create", "slapd token create --role user --ttl 7d", "slapd token list", "slapd token revoke ID"},
		subs:     []*verb{tokenCreateVerb(), tokenListVerb(), tokenRevokeVerb()},
	}
}

func tokenCreateVerb() *verb {
	return &verb{
		name: "create", brief: "make a token, and print the line for the next computer",
		about: "The role voter lets a peer keep the ledger, computer lets it offer partitions, user\n" +
			"lets it ask; a user token also opens the local API. The secret is shown once. What a user token may do\n" +
			"can be narrowed: each scope brings read along, read does not show secrets, and admin is for tokens,\n" +
			"members and supplies. One for a project acts for that and nothing else, as far as your role there goes.",
		options: func() []cli.Flag {
			return []cli.Flag{
				&cli.StringFlag{Name: "role", Usage: "`ROLE` is voter, computer or user; voter in a private mesh, computer in an open one, if not given"},
				&cli.IntFlag{Name: "uses", Usage: "it admits `N` peers", Value: 1},
				&cli.StringFlag{Name: "ttl", Usage: "it expires after `TIME`, such as 1h or 7d", Value: "1h"},
				&cli.StringFlag{Name: "account", Usage: "for `ACCOUNT`, which is made if it is new; yours, if not given"},
				&cli.StringSliceFlag{Name: "scope", Usage: "a user token may do `SCOPE`: read, instances, money or admin; may be repeated; all, if not given"},
				&cli.StringFlag{Name: "project", Usage: "a user token acts for `PROJECT` only"},
			}
		},
		examples: []string{"slapd token create", "slapd token create --role computer --uses 20 --ttl 7d", "slapd token create --role user --account ann", "slapd token create --role user --scope read --project acme --ttl 24h"},
		run: func(ctx context.Context, i *invocation) error {
			in := protocol.TokenInput{
				Role: protocol.Role(i.String("role")), Uses: i.Int("uses"), TTL: i.String("ttl"), Account: i.String("account"),
				Scopes: i.StringSlice("scope"), Project: i.String("project"),
			}
			for _, scope := range in.Scopes {
				if !slices.Contains(protocol.TokenScopes, scope) {
					return usagef("--scope %s: read, instances, money or admin", scope)
				}
			}
			switch in.Role {
			case "", protocol.RoleVoter, protocol.RoleComputer, protocol.RoleUser:
			default:
				return usagef("--role %s: voter, computer or user", in.Role)
			}
			if in.Uses < 1 {
				return usagef("--uses %d: at least 1", in.Uses)
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			t, err := service.CreateToken(ctx, in)
			if err != nil {
				return err
			}
			return i.show(t, func(w io.Writer) { i.printToken(w, t) })
		},
	}
}

func (i *invocation) printToken(w io.Writer, t protocol.Token) {
	fmt.Fprintf(w, "token %s: role %s, account %s, uses %d, expires in %s\n", t.ID, t.Role, printable(t.Account), t.Uses, i.age(t.Expires))
	if t.Project != "" || len(t.Scopes) > 0 {
		fmt.Fprintf(w, "it may: %s\n", tokenReach(t))
	}
	if t.Role == protocol.RoleUser {
		fmt.Fprintf(w, "for the local API:\n\n    export SLAPD_TOKEN=%s\n\n", t.Token)
	}
	if t.Join != "" {
		fmt.Fprintf(w, "on the next computer, type:\n\n    %s\n\n", t.Join)
	}
}

func tokenListVerb() *verb {
	return &verb{
		name: "list", brief: "the tokens of your account",
		examples: []string{"slapd token list"},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			tokens, err := service.Tokens(ctx)
			if err != nil {
				return err
			}
			return i.show(tokens, func(w io.Writer) {
				row(w, "ID", "ROLE", "ACCOUNT", "MAY", "USES", "EXPIRES", "STATE", "USED BY")
				for _, t := range tokens {
					row(w, t.ID, t.Role, t.Account, tokenReach(t), t.Uses, t.Expires.Format("2006-01-02 15:04"), i.tokenState(t), i.tokenUses(t))
				}
			})
		},
	}
}

// tokenReach says what the bearer of a token may do.
func tokenReach(t protocol.Token) string {
	what := "all"
	switch {
	case t.Role != protocol.RoleUser:
		return "join"
	case len(t.Scopes) > 0:
		what = strings.Join(t.Scopes, " ")
	}
	if t.Project != "" {
		what += " for " + t.Project
	}
	return what
}

// tokenUses says whom a token admitted last.
func (i *invocation) tokenUses(t protocol.Token) string {
	const shown = 3
	var out []string
	for _, u := range t.UsedBy[:min(len(t.UsedBy), shown)] {
		out = append(out, fmt.Sprintf("%s %s ago", printable(u.Name), i.age(u.At)))
	}
	if more := len(t.UsedBy) - shown; more > 0 {
		out = append(out, fmt.Sprintf("%d more", more))
	}
	return strings.Join(out, ", ")
}

func (i *invocation) tokenState(t protocol.Token) string {
	switch {
	case t.Revoked:
		return "revoked"
	case t.Expires.Before(i.Now()):
		return "expired"
	case t.Uses == 0:
		return "used"
	}
	return "valid"
}

func tokenRevokeVerb() *verb {
	return &verb{
		name: "revoke", args: "ID", min: 1, max: 1, brief: "end a token; peers that it admitted stay",
		examples: []string{"slapd token revoke t3"},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			if err := service.RevokeToken(ctx, i.args[0]); err != nil {
				return err
			}
			return i.show(map[string]string{"id": i.args[0]}, func(w io.Writer) { fmt.Fprintf(w, "token %s is revoked\n", i.args[0]) })
		},
	}
}
