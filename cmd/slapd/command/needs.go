package command

import (
	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

// needsFlags say what the computer keeps for an instance.
func needsFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "cores", Usage: "keep `N` cores of the computer for it, such as 2 or 0.5"},
		&cli.StringFlag{Name: "memory", Usage: "keep `SIZE` of memory for it, such as 4GiB"},
		&cli.StringFlag{Name: "disk", Usage: "keep `SIZE` of disk for it, such as 10GiB"},
		&cli.BoolFlag{Name: "replace-needs", Usage: "drop the cores, memory and disk that are not given"},
	}
}

// needs reads them.
func (i *invocation) needs() (n protocol.Needs, err error) {
	for _, f := range []struct {
		name  string
		to    *int64
		parse func(string) (int64, error)
	}{{"cores", &n.Millicores, protocol.ParseCores}, {"memory", &n.Memory, protocol.ParseSize}, {"disk", &n.Disk, protocol.ParseSize}} {
		if !i.IsSet(f.name) {
			continue
		}
		if *f.to, err = f.parse(i.String(f.name)); err != nil {
			return n, usagef("--%s %v", f.name, err)
		}
	}
	return n, nil
}
