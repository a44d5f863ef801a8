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

func computerVerb() *verb {
	return &verb{
		name: "computer", args: "COMMAND", max: 0, brief: "set, drain, retire or give away your computers",
		about:    "Without a COMPUTER, this peer's is meant. See also slapd computers.",
		examples: []string{"slapd computer drain castle", "slapd computer set --scope public"},
		run:      func(context.Context, *invocation) error { return usagef("set, drain, undrain, retire or give") },
		subs: []*verb{
			setComputerVerb(), drainVerb(), undrainVerb(), retireVerb(), giveVerb(),
		},
	}
}

func setComputerVerb() *verb {
	return &verb{
		name: "set", args: "[COMPUTER]", max: 1, brief: "say whose instances a computer takes, and its labels",
		about: "The scope says whose instances it takes: personal is its owner's; group also those of the projects that its\n" +
			"owner is in, and of their members; open anyone's, where isolation is strong enough for strangers (what\n" +
			"holds if nothing is said); public anyone's; closed nobody's. What is said here holds over what the\n" +
			"computer says itself (slapd run --label), also after it restarts.\n" +
			"What is not named keeps its value. A label without a value is removed.",
		options: func() []cli.Flag {
			return []cli.Flag{
				&cli.StringFlag{Name: "scope", Usage: "`SCOPE` is personal, group, open, public or closed"},
				&cli.StringSliceFlag{Name: "label", Usage: "set label `NAME=VALUE`, or remove it with NAME=; may be repeated"},
				&cli.BoolFlag{Name: "reset", Usage: "begin with what the computer says itself"},
			}
		},
		examples: []string{"slapd computer set --scope public", "slapd computer set castle --label rack=7 --label gpu=", "slapd computer set castle --reset"},
		run: func(ctx context.Context, i *invocation) error {
			in := protocol.ComputerInput{Computer: i.first(), Scope: i.String("scope"), Reset: i.Bool("reset")}
			if in.Scope != "" && !slices.Contains(protocol.Scopes, in.Scope) {
				return usagef("--scope %s: personal, group, open, public or closed", in.Scope)
			}
			var err error
			if in.Labels, err = i.settings("label"); err != nil {
				return err
			}
			return i.steward(func(s protocol.Service) (protocol.Computer, error) { return s.SetComputer(ctx, in) })
		},
	}
}

func undrainVerb() *verb {
	return &verb{
		name: "undrain", args: "[COMPUTER]", max: 1, brief: "take new instances again",
		examples: []string{"slapd computer undrain", "slapd computer undrain castle"},
		run: func(ctx context.Context, i *invocation) error {
			in := protocol.DrainInput{Computer: i.first()}
			return i.steward(func(s protocol.Service) (protocol.Computer, error) { return s.DrainComputer(ctx, in) })
		},
	}
}

func retireVerb() *verb {
	return &verb{
		name: "retire", args: "[COMPUTER]", max: 1, brief: "take no new instances any more, for good",
		about: "It is refused while instances are placed there. With --force they are destroyed: by the computer,\n" +
			"or, if it is lost, at once in the ledger. Their bills end with them. See drain for what can be undone.",
		options: func() []cli.Flag {
			return []cli.Flag{&cli.BoolFlag{Name: "force", Usage: "destroy the instances that are placed there"}}
		},
		examples: []string{"slapd computer retire castle", "slapd computer retire castle --force"},
		run: func(ctx context.Context, i *invocation) error {
			in := protocol.RetireInput{Computer: i.first(), Force: i.Bool("force")}
			return i.steward(func(s protocol.Service) (protocol.Computer, error) { return s.RetireComputer(ctx, in) })
		},
	}
}

func giveVerb() *verb {
	return &verb{
		name: "give", args: "COMPUTER ACCOUNT", min: 2, max: 2, brief: "make a computer another account's",
		about: "Its instances stay. What they use from now on is paid to the new owner, at the new owner's price;\n" +
			"what they used before is still the old owner's, whenever it is reported.",
		examples: []string{"slapd computer give castle bob"},
		run: func(ctx context.Context, i *invocation) error {
			in := protocol.GiveInput{Computer: i.args[0], Account: i.args[1]}
			return i.steward(func(s protocol.Service) (protocol.Computer, error) { return s.GiveComputer(ctx, in) })
		},
	}
}

// first is the first argument, or nothing.
func (i *invocation) first() string {
	if len(i.args) == 0 {
		return ""
	}
	return i.args[0]
}

// steward has something done with a computer, and prints what it is then.
func (i *invocation) steward(do func(protocol.Service) (protocol.Computer, error)) error {
	service, err := i.service()
	if err != nil {
		return err
	}
	c, err := do(service)
	if err != nil {
		return err
	}
	return i.show(c.Filled(), func(w io.Writer) {
		fmt.Fprintf(w, "%s of %s: scope %s, %s, %d of %d free\n", printable(c.Name), printable(c.Owner), c.Scope, standing(c), c.PartitionsFree, c.Partitions)
	})
}

// standing says what state a computer is in, and what its owner made of that.
func standing(c protocol.Computer) string {
	words := []string{c.State}
	if c.Drained {
		words = append(words, "drained")
	}
	if c.Retired {
		words = append(words, "retired")
	}
	return strings.Join(words, ", ")
}
