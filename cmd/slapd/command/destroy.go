package command

import "github.com/slapmesh/slapmesh/protocol"

func destroyVerb() *verb {
	return &verb{
		name: "destroy", args: "REFERENCE", min: 1, max: 1, brief: "destroy an instance, and its data with it",
		options:  changeFlags,
		examples: []string{"slapd destroy db1", "slapd destroy db1 --wait"},
		run:      change(protocol.RequestDestroyed),
	}
}
