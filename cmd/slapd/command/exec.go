package command

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func execVerb() *verb {
	return &verb{
		name: "exec", args: "REFERENCE -- PROGRAM [ARGUMENT]…", min: 1, max: -1, brief: "run a program inside an instance's partition",
		about:    "Standard input, output and error are the program's, and its exit code is slapd's.",
		options:  func() []cli.Flag { return []cli.Flag{accountFlag()} },
		examples: []string{"slapd exec db1 -- ls -l", "slapd exec db1 -- mariadb -e 'show databases'", "slapd exec db1 -- tar c data > data.tar"},
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
			code, err := service.Exec(ctx, i.ref(), protocol.ExecInput{Argv: i.args[1:]}, i.In, i.Out, i.Err)
			if err != nil || code == 0 {
				return err
			}
			return &exitError{code: code}
		},
	}
}
