package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func execVerb() *verb {
	return &verb{
		name: "exec", args: "REFERENCE -- PROGRAM [ARGUMENT]…", min: 1, max: -1, brief: "run a program inside an instance's partition",
		about: "Standard input, output and error are the program's, and its exit code is slapd's. With --tty it has a terminal, as shells and\n" +
			"other programs that are talked to want it.",
		options: func() []cli.Flag {
			return []cli.Flag{accountFlag(), &cli.BoolFlag{Name: "tty", Aliases: []string{"t"}, Usage: "give the program this terminal"}}
		},
		examples: []string{"slapd exec db1 -- ls -l", "slapd exec -t db1 -- mariadb", "slapd exec db1 -- mariadb -e 'show databases'", "slapd exec db1 -- tar c data > data.tar"},
		run: func(ctx context.Context, i *invocation) error {
			if len(i.args) < 2 {
				return usagef("PROGRAM is missing")
			}
			if i.Bool("json") {
				return usagef("--json: the output is the program's own")
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			in := protocol.ExecInput{Argv: i.args[1:]}
			if i.Bool("tty") {
				terminal, err := i.take()
				if err != nil {
					return fmt.Errorf("--tty: %w", err)
				}
				defer terminal.Restore()
				in.Terminal = &protocol.Terminal{Type: cmp.Or(i.Env("TERM"), "dumb"), Size: terminal.Size}
				in.Sizes = terminal.Sizes
			}
			code, err := service.Exec(ctx, i.ref(), in, i.In, i.Out, i.Err)
			if err != nil || code == 0 {
				return err
			}
			return &exitError{code: code}
		},
	}
}

// take takes over the user's terminal, if there is one.
func (i *invocation) take() (*Terminal, error) {
	if i.Take == nil {
		return nil, errors.New("there is no terminal here")
	}
	return i.Take()
}
