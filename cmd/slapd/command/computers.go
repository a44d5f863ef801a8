package command

import (
	"context"
	"fmt"
	"io"
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
				row(w, "COMPUTER", "NAME", "OWNER", "SCOPE", "FREE", "GRADE", "ARCH", "STATE", "SINCE", "LABELS")
				for _, c := range computers {
					free := fmt.Sprintf("%d of %d", c.PartitionsFree, c.Partitions)
					row(w, c.Computer, c.Name, c.Owner, c.Scope, free, c.Grade, c.Arch, c.State, i.age(c.Since), pairs(c.Labels))
				}
			})
		},
	}
}
