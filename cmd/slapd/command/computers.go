package command

import (
	"context"
	"fmt"
	"io"

	"github.com/slapmesh/slapmesh/protocol"
)

func computersVerb() *verb {
	return &verb{
		name: "computers", brief: "the computers of the mesh, and how much room they have",
		examples: []string{"slapd computers", "slapd computers --json"},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			computers, err := service.Computers(ctx)
			if err != nil {
				return err
			}
			return i.show(computers, func(w io.Writer) {
				row(w, "COMPUTER", "NAME", "OWNER", "SCOPE", "FREE", "CORES", "MEMORY", "DISK", "BANDWIDTH", "GRADE", "ARCH", "STATE", "SINCE", "LABELS")
				for _, c := range computers {
					free := fmt.Sprintf("%d of %d", c.PartitionsFree, c.Partitions)
					row(w, c.Computer, c.Name, c.Owner, c.Scope, free,
						taken(c.Reserved.Millicores, c.Capacity.Millicores, protocol.FormatCores),
						taken(c.Reserved.Memory, c.Capacity.Memory, protocol.RoughSize), taken(c.Reserved.Disk, c.Capacity.Disk, protocol.RoughSize),
						taken(c.Reserved.Bandwidth, c.Capacity.Bandwidth, protocol.FormatBandwidth), c.Grade, c.Arch, standing(c), i.age(c.Since), pairs(c.Labels))
				}
			})
		},
	}
}

// taken says how much of something is free: "1.5 of 4", or how much is taken
// if it is not known how much there is.
func taken(reserved, has int64, format func(int64) string) string {
	switch {
	case has == 0 && reserved == 0:
		return "-"
	case has == 0:
		return format(reserved) + " taken"
	}
	return format(max(0, has-reserved)) + " of " + format(has)
}
