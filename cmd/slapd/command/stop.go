package command

import "github.com/slapmesh/slapmesh/protocol"

func stopVerb() *verb {
	return &verb{
		name: "stop", args: "REFERENCE", min: 1, max: 1, brief: "stop an instance; its data stays",
		options:  changeFlags,
		examples: []string{"slapd stop db1", "slapd stop db1 --wait=30s"},
		run:      change(protocol.RequestStopped),
	}
}
