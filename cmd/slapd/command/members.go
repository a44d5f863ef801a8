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

func membersVerb() *verb {
	return &verb{
		name: "members", brief: "the peers of the mesh; let them in, give them roles, revoke them",
		about: "At most 500 are shown, those first that are not alive; --all shows all, as --json does.",
		options: func() []cli.Flag {
			return []cli.Flag{&cli.BoolFlag{Name: "all", Usage: "show all, however many"}}
		},
		examples: []string{"slapd members", "slapd members --all", "slapd members role PEER voter", "slapd members remove PEER"},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			members, err := service.Members(ctx)
			if err != nil {
				return err
			}
			return i.show(members, func(w io.Writer) { i.printMembers(w, members) })
		},
		subs: []*verb{pendingVerb(), approveVerb(), refuseVerb(), roleVerb(), removeVerb()},
	}
}

// membersShown is how many people are shown unasked.
const membersShown = 500

func (i *invocation) printMembers(w io.Writer, members []protocol.Member) {
	shown := members
	if !i.Bool("all") {
		shown = firstMembers(members)
	}
	row(w, "PEER", "NAME", "ADDRESS", "ROLE", "STATE", "PATH", "NAT", "SINCE", "LABELS")
	for _, m := range shown {
		row(w, m.PeerID, m.Name, m.Address, m.Role, m.State, m.Path, m.NAT, i.age(m.Since), pairs(m.Labels))
	}
	if more := len(members) - len(shown); more > 0 {
		fmt.Fprintf(w, "and %d more: slapd members --all shows them\n", more)
	}
}

// firstMembers are those that people are shown unasked, in order; of more than
// fit those first that are not alive.
func firstMembers(all []protocol.Member) []protocol.Member {
	if len(all) <= membersShown {
		return all
	}
	alive := func(m protocol.Member) bool { return m.State == protocol.MemberAlive }
	return append(slices.DeleteFunc(slices.Clone(all), alive), slices.DeleteFunc(slices.Clone(all), func(m protocol.Member) bool { return !alive(m) })...)[:membersShown]
}

func roleVerb() *verb {
	return &verb{
		name: "role", args: "PEER ROLE", min: 2, max: 2, brief: "give a peer another role: voter, computer or user",
		about:    "Operators only. Voters may be chosen to keep the ledger.",
		examples: []string{"slapd members role n7k2… voter"},
		run: func(ctx context.Context, i *invocation) error {
			role := protocol.Role(i.args[1])
			switch role {
			case protocol.RoleVoter, protocol.RoleComputer, protocol.RoleUser:
			default:
				return usagef("ROLE %s: voter, computer or user", role)
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			m, err := service.SetRole(ctx, i.args[0], role)
			if err != nil {
				return err
			}
			return i.show(m.Filled(), func(w io.Writer) { fmt.Fprintf(w, "%s is %s\n", m.PeerID, m.Role) })
		},
	}
}

func removeVerb() *verb {
	return &verb{
		name: "remove", args: "PEER", min: 1, max: 1, brief: "revoke a peer for good",
		about: "Operators only. Its instances are lost; its key is never admitted again. One that was a\n" +
			"voter knew the key that signs certificates: replace that too (slapd mesh rotate-ca).",
		examples: []string{"slapd members remove n7k2…"},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			members, err := service.Members(ctx)
			if err != nil {
				return err
			}
			voted := slices.ContainsFunc(members, func(m protocol.Member) bool {
				return m.Role == protocol.RoleVoter && (m.Name == i.args[0] || strings.HasPrefix(m.PeerID, i.args[0]))
			})
			if err := service.RemoveMember(ctx, i.args[0]); err != nil {
				return err
			}
			return i.show(map[string]string{"peer_id": i.args[0]}, func(w io.Writer) {
				fmt.Fprintf(w, "%s is revoked\n", i.args[0])
				if voted {
					fmt.Fprintln(w, "it may have known the key that signs certificates: slapd mesh rotate-ca replaces it")
				}
			})
		},
	}
}
