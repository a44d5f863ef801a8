package command

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func showVerb() *verb {
	return &verb{
		name: "show", args: "REFERENCE", min: 1, max: 1, brief: "one instance: its state, its connection, what happened to it",
		options:  func() []cli.Flag { return []cli.Flag{treeFlag("all instances of its tree"), accountFlag()} },
		examples: []string{"slapd show db1", "slapd show shop/db", "slapd show shop --tree", "slapd show db1 --json"},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			if i.Bool("tree") {
				all, err := service.Tree(ctx, i.ref())
				if err != nil {
					return err
				}
				return i.show(all, func(w io.Writer) { i.printTrees(w, all) })
			}
			n, err := service.Instance(ctx, i.ref())
			if err != nil {
				return err
			}
			return i.show(n.Filled(), func(w io.Writer) { i.printInstance(w, n) })
		},
	}
}

// ref is the instance that the first argument names.
func (i *invocation) ref() protocol.Ref {
	return protocol.Ref{Reference: i.args[0], Account: i.String("account")}
}

func (i *invocation) printInstance(w io.Writer, n protocol.Instance) {
	row(w, "reference", n.Reference)
	row(w, "account", n.Account)
	row(w, "release", n.Release+" ("+n.ReleaseDigest+")")
	row(w, "type", n.Type)
	row(w, "requested", n.RequestedState)
	row(w, "state", describe(n))
	row(w, "healthy", yes(n.Healthy))
	if n.Shared {
		row(w, "shared", "yes")
	}
	i.printRelations(w, n)
	row(w, "computer", n.ComputerName+" ("+n.Computer+"), partition "+n.Partition)
	row(w, "address", n.Address+" "+ports(n))
	if n.Reaches != "" {
		row(w, "may reach", n.Reaches)
	}
	row(w, "needs", n.Needs)
	row(w, "filter", pairs(n.Filter))
	for _, r := range []struct{ what, text string }{
		{"where", n.Where},
		{"policy", n.Policy},
		{"near", beside(n.Near, n.NearBy)},
		{"apart", beside(n.Apart, n.ApartBy)},
		{"highest price", n.MaxPrice},
	} {
		if r.text != "" {
			row(w, r.what, r.text)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(n.Parameters)) {
		row(w, "parameter "+k, string(n.Parameters[k]))
	}
	for _, k := range slices.Sorted(maps.Keys(n.Connection)) {
		row(w, "connection "+k, n.Connection[k])
	}
	row(w, "created", i.age(n.Created)+" ago")
	row(w, "changed", i.age(n.Changed)+" ago")
	for _, e := range n.Events {
		row(w, "event "+i.age(e.At)+" ago", e.Text)
	}
}

// beside says what an instance is near to, or apart from.
func beside(refs []string, by string) string {
	text := strings.Join(refs, " ")
	if by != "" {
		text += " (by " + by + ")"
	}
	return text
}
