package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func requestVerb() *verb {
	return &verb{
		name: "request", args: "RELEASE REFERENCE", min: 2, max: 2, brief: "ask for an instance, or change it",
		about: "RELEASE is a name, name@version, a digest, an address, or a folder with a release.star.\n" +
			"REFERENCE is your own name for the instance. The same request again changes nothing;\n" +
			"what is not named keeps its value.",
		options: func() []cli.Flag { return append(requestFlags(), waitFlag()) },
		examples: []string{
			"slapd request mariadb db1 --wait",
			"slapd request mariadb db1 --param database=shop --wait=10m",
			"slapd request postgresql stats --filter country=FR --filter computer=castle",
			"slapd request mariadb db2 --cores 2 --memory 4GiB --disk 10GiB --policy cheapest --max-price 0.05",
			"slapd request mariadb db3 --apart db1 --apart db2 --apart-by site",
			"slapd request redis cache --where 'cores >= 4 and not has gpu' --policy spread",
			"slapd request mariadb db --parent shop",
			"slapd request mariadb shop --shared --filter instance=db1",
			"slapd request ./my-release test --params-file params.json",
		},
		run: func(ctx context.Context, i *invocation) error {
			in, err := i.requestInput()
			if err != nil {
				return err
			}
			wait, err := i.wait()
			if err != nil {
				return err
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			if in.Release, err = i.release(ctx, service, in.Release, in.Account); err != nil {
				return err
			}
			instance, err := service.Request(ctx, in)
			if err != nil {
				return err
			}
			return i.settle(ctx, service, instance, wait)
		},
	}
}

func (i *invocation) requestInput() (in protocol.RequestInput, err error) {
	in = protocol.RequestInput{
		Release: i.args[0], Reference: i.args[1], Account: i.String("account"), Type: i.String("type"),
		State: protocol.RequestedState(i.String("state")), ReplaceParameters: i.Bool("replace"),
		Where: i.String("where"), Policy: i.String("policy"),
		Parent: i.String("parent"), Scope: i.String("scope"), Keep: i.String("keep"),
	}
	if in.Filter, err = i.settings("filter"); err != nil {
		return in, err
	}
	if err := i.place(&in); err != nil {
		return in, err
	}
	if i.IsSet("shared") {
		shared := i.Bool("shared")
		in.Shared = &shared
	}
	switch in.Policy {
	case "", "default", "pack", "spread", "cheapest":
	default:
		return in, usagef("--policy %s: default, pack, spread or cheapest", in.Policy)
	}
	switch in.State {
	case "", protocol.RequestStarted, protocol.RequestStopped, protocol.RequestDestroyed:
	default:
		return in, usagef("--state %s: started, stopped or destroyed", in.State)
	}
	in.Parameters, err = i.parameters()
	return in, err
}

// parameters reads the file, then what is given beside it. A value of --param is
// text: the release's schema says what it means.
func (i *invocation) parameters() (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	if name := i.String("params-file"); name != "" {
		data, err := i.file(name)
		if protocol.CodeOf(err) == protocol.ErrInvalid {
			err = protocol.Errorf(protocol.ErrInvalid, "--params-file %v", err)
		}
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, &out); err != nil {
			return nil, protocol.Errorf(protocol.ErrInvalid, "--params-file %s: %v: a JSON object of parameters wanted", name, err)
		}
	}
	given, err := i.settings("param")
	if err != nil {
		return nil, err
	}
	for name, value := range given {
		data, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("--param %s: %w", name, err)
		}
		out[name] = data
	}
	return out, nil
}

// file reads a small file, or standard input.
func (i *invocation) file(name string) ([]byte, error) {
	in := i.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // read only
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, protocol.MaxParameters+1))
	if err == nil && len(data) > protocol.MaxParameters {
		err = protocol.Errorf(protocol.ErrInvalid, "%s: more than %d bytes", name, protocol.MaxParameters)
	}
	return data, err
}

// requestFlags say what is asked for.
func requestFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "type", Usage: "the release's instance `TYPE`"},
		&cli.StringSliceFlag{Name: "param", Usage: "set parameter `NAME=VALUE`; may be repeated"},
		&cli.StringFlag{Name: "params-file", Usage: "set the parameters in `FILE`, a JSON object; - is standard input"},
		&cli.BoolFlag{Name: "replace", Usage: "drop the parameters that are not given"},
		&cli.StringSliceFlag{Name: "filter", Usage: "only on a computer with `NAME=VALUE`, such as country=FR or computer=castle; may be repeated"},
		&cli.StringFlag{Name: "where", Usage: "only on a computer for which `EXPRESSION` holds, such as 'cores >= 4 and country in [FR, DE]'"},
		&cli.StringFlag{Name: "policy", Usage: "`POLICY` is default, pack (fill computers up), spread (over sites, where you have least) or cheapest"},
		&cli.StringFlag{Name: "state", Usage: "`STATE` is started, stopped or destroyed"},
		&cli.BoolFlag{Name: "shared", Usage: "a place inside another instance of the release; --filter instance=REF names that"},
		&cli.StringFlag{Name: "scope", Usage: "take shared instances of `WHOM`: personal (your own) or public (anyone's)"},
		&cli.StringFlag{Name: "parent", Usage: "`INSTANCE` requests it: it is named, started, stopped and destroyed with that"},
		&cli.StringFlag{Name: "keep", Usage: "keep its data for a `WHILE`, such as 24h or 7d, when it is destroyed"},
		accountFlag(),
	}, needsFlags()...)
}
