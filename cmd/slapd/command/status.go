package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/slapmesh/slapmesh/protocol"
)

func statusVerb() *verb {
	return &verb{
		name: "status", brief: "what this peer is, and what it knows of the mesh",
		examples: []string{"slapd status", "slapd status --json"},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			s, err := service.Status(ctx)
			if err != nil {
				return err
			}
			return i.show(s.Filled(), func(w io.Writer) { i.printStatus(w, s) })
		},
	}
}

func (i *invocation) printStatus(w io.Writer, s protocol.Status) {
	kind := "private"
	if s.Open {
		kind = "open"
	}
	row(w, "mesh", fmt.Sprintf("%s (%s), %s, epoch %d", s.Mesh, s.MeshID, kind, s.Epoch))
	row(w, "peer", fmt.Sprintf("%s (%s), %s of account %s", s.Name, s.PeerID, s.Role, s.Account))
	row(w, "you", who(s.Whoami))
	leader := s.Leader
	if leader == "" {
		leader = "unknown"
	}
	row(w, "leader", fmt.Sprintf("%s, term %d, commit index %d", leader, s.Term, s.CommitIndex))
	row(w, "voters", strings.Join(s.Voters, " "))
	if len(s.Standbys) > 0 {
		row(w, "standbys", strings.Join(s.Standbys, " "))
	}
	row(w, "quorum", yes(s.Quorum))
	row(w, "members", fmt.Sprintf("%d alive", s.Members))
	row(w, "traffic", fmt.Sprintf("%d connections; sent %s, received %s; of that gossip %s and %s", s.Traffic.Connections,
		kib(s.Traffic.Sent), kib(s.Traffic.Received), kib(s.Traffic.GossipSent), kib(s.Traffic.GossipReceived)))
	row(w, "reach", reachLine(s.Reach))
	row(w, "instances", s.Instances)
	row(w, "listen", s.Listen)
	row(w, "api", s.API)
	row(w, "grade", s.Grade)
	row(w, "version", fmt.Sprintf("%s, up %s", s.Version, i.age(s.Started)))
	if s.Stale {
		row(w, "stale", "yes: what is shown may be out of date")
	}
	for _, warning := range s.Warnings {
		row(w, "warning", warning)
	}
}

// reachLine says how others reach the peer.
func reachLine(r protocol.Reach) string {
	said := []string{cmp.Or(natText(r.Kind), "nobody said so far how it is seen")}
	if r.Double {
		said = append(said, "the router is itself behind another NAT (a carrier's, or a second router)")
	}
	if len(r.External) > 0 {
		said = append(said, "seen at "+r.External[0])
	}
	if r.Mapped != "" {
		said = append(said, fmt.Sprintf("the router lets others in at %s (%s)", r.Mapped, r.MappedBy))
	}
	if r.Hidden {
		said = append(said, fmt.Sprintf("found through %d relays", len(r.Relays)))
	}
	if c := r.Carried; c.Bytes > 0 {
		said = append(said, fmt.Sprintf("carried %s for others, %d now", kib(c.Bytes), c.Sessions))
	}
	return strings.Join(said, "; ")
}

// natText says what stands between a computer and others, and what follows; ""
// if that is not known.
func natText(kind string) string {
	return map[string]string{
		"none":            "no NAT",
		"firewall":        "no NAT, but a firewall lets in only whom something was sent to (open the UDP port there)",
		"nat":             "behind a NAT",
		"cone":            "behind a NAT with one address for all (cone): others can be let through",
		"open-cone":       "behind a NAT that lets others in (full cone, or restricted by address)",
		"restricted-cone": "behind a NAT that lets in only whom something was sent to (port-restricted cone): others are let through by a hole",
		"symmetric":       "behind a NAT with another address for each (symmetric): through relays to others behind a NAT, unless the router opens a port",
	}[kind]
}

// kib is a number of bytes as people read it.
func kib(n uint64) string { return fmt.Sprintf("%.1f KiB", float64(n)/1024) }

// who says who asks.
func who(me protocol.Whoami) string {
	if me.Account == "" {
		return "nobody whom this peer knows"
	}
	text := me.Account
	if me.Operator {
		text += ", an operator"
	}
	if me.Token != "" {
		text += ", by token " + me.Token
	}
	if len(me.Rights) < len(protocol.TokenScopes) {
		text += ", who may do no more than " + strings.Join(me.Rights, ", ")
	}
	if len(me.Projects) > 0 {
		text += "; projects " + memberships(me.Projects)
	}
	return text
}
