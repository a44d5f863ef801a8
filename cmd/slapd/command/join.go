package command

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

func joinVerb() *verb {
	return &verb{
		name: "join", args: "[HOST[:PORT][#FINGERPRINT]]", min: 0, max: 1,
		brief: "join a mesh through any of its peers, then run",
		about: "Without HOST a peer is looked for on the local network: with a token, one of its mesh;\n" +
			"without, the open ones are listed. Before anything is asked for it says which addresses answer, how the clocks differ,\n" +
			"whether others reach this computer, and what the invitation grants; if something\n" +
			"is in the way it says what, and the token stays good. A private mesh wants a token: \"slapd init\" and \"slapd token create\" print the whole\n" +
			"line. An open mesh wants its fingerprint behind the address. Other users of this\n" +
			"computer can read --token while slapd runs; SLAPD_TOKEN and --token-file keep it\n" +
			"from them.",
		options: func() []cli.Flag {
			return append([]cli.Flag{
				&cli.StringFlag{Name: "token", Usage: "what admits this computer: `slapd1-…` (SLAPD_TOKEN)"},
				&cli.StringFlag{Name: "token-file", Usage: "read the token from `FILE`; - is standard input"},
				&cli.BoolFlag{Name: "check", Usage: "find out whether joining would succeed, and change nothing"},
				&cli.BoolFlag{Name: "enroll-only", Usage: "do not run; \"slapd run\" does"},
			}, runFlags()...)
		},
		examples: []string{
			"slapd join 192.0.2.1 --token slapd1-…",
			"slapd join mesh.example.org:7527#ab12…",
			"slapd join 192.0.2.1 --token slapd1-… --name attic --label country=FR",
			"slapd join 192.0.2.1 --token-file /root/token",
			"slapd join 192.0.2.1 --token slapd1-… --check",
			"slapd join --token slapd1-…",
		},
		run: func(ctx context.Context, i *invocation) error {
			run, err := i.runOptions()
			if err != nil {
				return err
			}
			token, err := i.joinToken()
			if err != nil {
				return err
			}
			address := ""
			if len(i.args) > 0 {
				address = i.args[0]
			} else if run.NoDiscovery != nil && *run.NoDiscovery {
				return usagef("HOST is missing, and --no-discovery forbids to look for one")
			} else if token, err = i.askToken(token); err != nil {
				return err
			}
			return i.Peer.Join(ctx, JoinOptions{
				RunOptions: run, Address: address, EnrollOnly: i.Bool("enroll-only"), Token: token,
				Check: i.Bool("check"), Told: i.told, Waits: i.waits(),
			})
		},
	}
}

// askToken asks for the token on a terminal, if none was given.
func (i *invocation) askToken(token string) (string, error) {
	if token != "" || !i.Terminal {
		return token, nil
	}
	fmt.Fprint(i.Err, "token (slapd token create prints one, there; nothing looks for open meshes): ")
	line, err := bufio.NewReader(i.In).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("token: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// joinToken reads the token from the one place where it was given. It returns
// "" if it was given nowhere, as for an open mesh.
func (i *invocation) joinToken() (string, error) {
	var given []string
	for _, flag := range []string{"token", "token-file"} {
		if i.IsSet(flag) {
			given = append(given, "--"+flag)
		}
	}
	token := cmp.Or(i.String("token"), i.Env("SLAPD_TOKEN"))
	if i.Env("SLAPD_TOKEN") != "" {
		given = append(given, "SLAPD_TOKEN")
	}
	if len(given) > 1 {
		return "", usagef("the token is in %s: give it once", strings.Join(given, " and in "))
	}
	if !i.IsSet("token-file") {
		return strings.TrimSpace(token), nil
	}
	name := i.String("token-file")
	data, err := i.file(name)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	if token = strings.TrimSpace(string(data)); token == "" {
		return "", fmt.Errorf("--token-file %s: it is empty: a token is wanted, as \"slapd token create\" prints it", name)
	}
	return token, nil
}

// waits tells on the standard error that an operator has yet to decide: whom
// to tell what, once, and then for how long, now and then.
func (i *invocation) waits() func(id string, since, until time.Time) {
	var told time.Time
	return func(id string, since, until time.Time) {
		now := i.Now()
		switch {
		case told.IsZero():
			_, _ = fmt.Fprintf(i.Err, "This computer asks to join, and an operator of the mesh has to let it in.\nRead this id to the operator:\n\n    %s\n\nwho types: slapd members approve %s\nWaiting (until %s; interrupt with Ctrl-C, the same line again goes on waiting)\n",
				id, id, until.Local().Format("2006-01-02 15:04"))
		case now.Sub(told) < time.Minute:
			return
		default:
			_, _ = fmt.Fprintf(i.Err, "still waiting, for %s\n", now.Sub(since).Round(time.Minute))
		}
		told = now
	}
}
