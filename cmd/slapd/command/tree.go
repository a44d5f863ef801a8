package command

import (
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func treeFlag(usage string) cli.Flag { return &cli.BoolFlag{Name: "tree", Usage: usage} }

// inTree is an instance's name as it is shown below the one that requested it.
func inTree(n protocol.Instance) string {
	name := strings.TrimPrefix(n.Reference, n.Parent+"/")
	if n.Parent == "" {
		return n.Reference
	}
	depth := strings.Count(strings.TrimPrefix(n.Parent, n.Root), "/") + 1
	return strings.Repeat("  ", depth) + name
}

// printTrees prints instances, each above those that it requested.
func (i *invocation) printTrees(w io.Writer, all []protocol.Instance) {
	row(w, "REFERENCE", "RELEASE", "TYPE", "REQUESTED", "STATE", "HEALTHY", "COMPUTER", "CHANGED")
	for _, n := range all {
		asked := string(n.RequestedState)
		switch {
		case n.AskedState != "":
			asked += " (" + string(n.AskedState) + ")"
		case n.KeptUntil != nil:
			asked += " (kept)"
		}
		row(w, inTree(n), n.Release, n.Type, asked, n.State, yes(n.Healthy), n.ComputerName, i.age(n.Changed))
	}
}

// printRelations prints what an instance has to do with others, and what will
// become of it.
func (i *invocation) printRelations(w io.Writer, n protocol.Instance) {
	if n.Parent != "" {
		row(w, "requested by", n.Parent)
		row(w, "root", n.Root)
	}
	if n.AskedState != "" {
		row(w, "asked", string(n.AskedState)+", when "+n.Parent+" is")
	}
	if n.Host != "" {
		row(w, "inside", n.Host)
	}
	if n.Scope != "" {
		row(w, "takes shared of", n.Scope)
	}
	if n.Keep != "" {
		row(w, "keeps data for", n.Keep)
	}
	if n.KeptUntil != nil {
		row(w, "destroyed in", i.age(*n.KeptUntil))
	}
}
