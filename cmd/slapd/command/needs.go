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
		&cli.StringFlag{Name: "bandwidth", Usage: "keep `RATE` of its line for it, such as 20Mbit"},
		&cli.StringSliceFlag{Name: "near", Usage: "on the computer of your instance `REFERENCE`; may be repeated"},
		&cli.StringFlag{Name: "near-by", Usage: "what near means: `WHAT` is computer or site"},
		&cli.StringSliceFlag{Name: "apart", Usage: "not on the computer of your instance `REFERENCE`; may be repeated"},
		&cli.StringFlag{Name: "apart-by", Usage: "what apart means: `WHAT` is computer, host, site, or a label such as network"},
		&cli.StringFlag{Name: "max-price", Usage: "an hour of what it needs costs at most `CREDITS`; 0 is any"},
		&cli.BoolFlag{Name: "replace-needs", Usage: "drop the cores, memory, disk, bandwidth, near, apart and max-price that are not given"},
	}
}

// place reads them.
func (i *invocation) place(in *protocol.RequestInput) (err error) {
	if in.Needs, err = i.needs(); err != nil {
		return err
	}
	in.Near, in.NearBy, in.Apart, in.ApartBy = i.StringSlice("near"), i.String("near-by"), i.StringSlice("apart"), i.String("apart-by")
	in.ReplaceNeeds, in.MaxPrice = i.Bool("replace-needs"), i.String("max-price")
	if in.NearBy != "" && in.NearBy != "computer" && in.NearBy != "site" {
		return usagef("--near-by %s: computer or site", in.NearBy)
	}
	if in.MaxPrice != "" {
		if err := protocol.CheckSum(in.MaxPrice); err != nil {
			return usagef("--max-price %v", err)
		}
	}
	return nil
}

func (i *invocation) needs() (n protocol.Needs, err error) {
	for _, f := range []struct {
		name  string
		to    *int64
		parse func(string) (int64, error)
	}{{"cores", &n.Millicores, protocol.ParseCores}, {"memory", &n.Memory, protocol.ParseSize}, {"disk", &n.Disk, protocol.ParseSize}, {"bandwidth", &n.Bandwidth, protocol.ParseBandwidth}} {
		if !i.IsSet(f.name) {
			continue
		}
		if *f.to, err = f.parse(i.String(f.name)); err != nil {
			return n, usagef("--%s %v", f.name, err)
		}
	}
	return n, nil
}
