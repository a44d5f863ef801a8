package command

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

// A drained computer is one with what becomes of its instances.
type drained struct {
	protocol.Computer
	Instances []protocol.Leaving `json:"instances"`
}

func drainVerb() *verb {
	return &verb{
		name: "drain", args: "[COMPUTER]", max: 1, brief: "take no new instances, and move those that are there elsewhere",
		about: "Those that can move do, with their data, one by one as slapd move does; of the others it is said why they stay.\n" +
			"With --wait it returns when none is on its way any more. Asked again, it tries again. See undrain.",
		options: func() []cli.Flag {
			return []cli.Flag{
				&cli.BoolFlag{Name: "stay", Usage: "leave the instances that are there where they are"},
				&cli.StringFlag{Name: "wait", Usage: "wait until those that can move have, for at most `" + defaultWait + "`"},
			}
		},
		examples: []string{"slapd computer drain", "slapd computer drain castle --wait=1h", "slapd computer drain castle --stay"},
		run: func(ctx context.Context, i *invocation) error {
			wait, err := i.wait()
			if err != nil {
				return err
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			c, err := service.DrainComputer(ctx, protocol.DrainInput{Computer: i.first(), Drained: true})
			if err != nil {
				return err
			}
			all := []protocol.Leaving{}
			if !i.Bool("stay") {
				if all, err = i.empty(ctx, service, c.Computer, wait); err != nil {
					return err
				}
			}
			return i.show(drained{c.Filled(), all}, func(w io.Writer) {
				fmt.Fprintf(w, "%s of %s: scope %s, %s, %d of %d free\n", printable(c.Name), printable(c.Owner), c.Scope, standing(c), c.PartitionsFree, c.Partitions)
				for _, l := range all {
					fmt.Fprintln(w, " ", leavingLine(l))
				}
			})
		},
	}
}

// emptyAgain is how often it is looked at what is still on its way.
const emptyAgain = 2 * time.Second

// empty moves what is on a computer, and waits until nothing is on its way.
func (i *invocation) empty(ctx context.Context, service protocol.Service, computer string, wait time.Duration) ([]protocol.Leaving, error) {
	until := i.Now().Add(wait)
	for {
		all, err := service.EmptyComputer(ctx, protocol.EmptyInput{Computer: computer})
		moving := 0
		for _, l := range all {
			if l.To != "" {
				moving++
			}
		}
		switch {
		case err != nil || wait == 0 || moving == 0:
			return all, err
		case i.Now().After(until):
			return all, &exitError{exitNotReady, fmt.Sprintf("%d instances are still on their way after %v: ask again with --wait=1h", moving, wait)}
		}
		timer := time.NewTimer(emptyAgain)
		select {
		case <-ctx.Done():
			timer.Stop()
			return all, ctx.Err()
		case <-timer.C:
		}
	}
}

func leavingLine(l protocol.Leaving) string {
	name := printable(l.Reference)
	if name == "" {
		name = l.Instance
	}
	if l.To != "" {
		return fmt.Sprintf("%s of %s moves to %s", name, printable(l.Account), printable(l.To))
	}
	return fmt.Sprintf("%s of %s stays: %s", name, printable(l.Account), printable(l.Why))
}
