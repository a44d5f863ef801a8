package command

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

// defaultWait is what --wait alone means.
const defaultWait = "2m"

// waitFlag is for verbs that change an instance.
func waitFlag() cli.Flag {
	return &cli.StringFlag{Name: "wait", Usage: "wait until it is so, for at most `" + defaultWait + "`"}
}

// accountFlag is for verbs that name an instance.
func accountFlag() cli.Flag {
	return &cli.StringFlag{Name: "account", Usage: "the instance is one of `ACCOUNT`: a project of yours, or any for operators"}
}

// wait reads --wait; 0 is not to wait.
func (i *invocation) wait() (time.Duration, error) {
	if !i.IsSet("wait") {
		return 0, nil
	}
	d, err := time.ParseDuration(i.String("wait"))
	if err != nil || d <= 0 {
		return 0, usagef("--wait=%s: a duration wanted, such as 30s or 2m", i.String("wait"))
	}
	return d, nil
}

// settings reads flags of the form k=v. It returns nil when none was given.
func (i *invocation) settings(flag string) (map[string]string, error) {
	var out map[string]string
	for _, text := range i.StringSlice(flag) {
		k, v, ok := strings.Cut(text, "=")
		if !ok || k == "" {
			return nil, usagef("--%s %s: NAME=VALUE wanted", flag, text)
		}
		if out == nil {
			out = map[string]string{}
		}
		if old, twice := out[k]; twice && old != v {
			return nil, usagef("--%s %s: given twice, as %q and %q", flag, k, old, v)
		}
		out[k] = v
	}
	return out, nil
}

// runFlags are those of the verbs that run a peer.
func runFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "name", Usage: "call this peer `NAME`; the host's name, if never given"},
		&cli.IntFlag{Name: "partitions", Usage: "take up to `N` instances; 10, if never given"},
		&cli.StringFlag{Name: "bandwidth", Usage: "share out `RATE` of this computer's line, such as 100Mbit; 0bit, if never given: not known, and not limited"},
		&cli.StringSliceFlag{Name: "label", Usage: "say `NAME=VALUE` about this computer, for filters; may be repeated"},
		&cli.StringFlag{Name: "listen", Usage: "speak to other peers on UDP `HOST:PORT`; :7527, if never given; port 0 picks one"},
		&cli.StringFlag{Name: "api", Usage: "serve the local API on `HOST:PORT`; 127.0.0.1:7528, if never given"},
		&cli.StringSliceFlag{Name: "advertise", Usage: "others reach this peer at `HOST:PORT` as well; may be repeated"},
		&cli.BoolFlag{Name: "no-discovery", Usage: "do not answer who looks for the mesh on the local network with a token of it, nor look; =false takes it back"},
		&cli.BoolFlag{Name: "no-build", Usage: "build no release here, but take each from a peer that has built it"},
		&cli.BoolFlag{Name: "private-sources", Usage: "let profiles have this computer fetch from its own network and its files; =false takes it back"},
		&cli.BoolFlag{Name: "egress", Usage: "let instances whose releases ask for it out to the Internet; =false takes it back"},
		&cli.BoolFlag{Name: "no-relay", Usage: "carry nothing between peers that cannot reach each other"},
		&cli.StringFlag{Name: "relay-rate", Usage: "carry up to `RATE` between peers that cannot reach each other, such as 20Mbit; 64Mbit, if never given"},
		&cli.BoolFlag{Name: "no-port-mapping", Usage: "do not ask the router (UPnP, NAT-PMP) for a port that leads here"},
		&cli.StringFlag{Name: "log", Usage: "log from `LEVEL` on: debug, info, warn or error", Value: "info"},
	}
}

// ifSet is what a flag says, or nil if it was not given.
func (i *invocation) ifSet(flag string) *bool {
	if !i.IsSet(flag) {
		return nil
	}
	return new(i.Bool(flag))
}

// minRelayRate is what a relay carries at least, in bits per second: less would
// hold up even who only asks something.
const minRelayRate = 100_000

// maxPartitions is how many a computer may offer.
const maxPartitions = 10_000

// runOptions reads the flags of the verbs that run a peer.
func (i *invocation) runOptions() (opt RunOptions, err error) {
	if opt.Dir, err = i.stateDir(); err != nil {
		return opt, err
	}
	if opt.Labels, err = i.settings("label"); err != nil {
		return opt, err
	}
	opt.Name, opt.Listen, opt.API = i.String("name"), i.String("listen"), i.String("api")
	if i.IsSet("advertise") {
		opt.Advertise = i.StringSlice("advertise")
	}
	opt.NoBuild, opt.PrivateSources, opt.Egress = i.ifSet("no-build"), i.ifSet("private-sources"), i.ifSet("egress")
	opt.NoDiscovery, opt.NoRelay, opt.NoPortMapping = i.ifSet("no-discovery"), i.ifSet("no-relay"), i.ifSet("no-port-mapping")
	if i.IsSet("partitions") {
		n := i.Int("partitions")
		if n < 0 || n > maxPartitions {
			return opt, usagef("--partitions %d: from 0 to %d", n, maxPartitions)
		}
		opt.Partitions = &n
	}
	if i.IsSet("relay-rate") {
		n, err := protocol.ParseBandwidth(i.String("relay-rate"))
		if err == nil && n < minRelayRate {
			err = fmt.Errorf("%s: at least %s, or --no-relay", i.String("relay-rate"), protocol.FormatBandwidth(minRelayRate))
		}
		if err != nil {
			return opt, usagef("--relay-rate %v", err)
		}
		opt.RelayRate = &n
	}
	if i.IsSet("bandwidth") {
		n, err := protocol.ParseBandwidth(i.String("bandwidth"))
		if err != nil {
			return opt, usagef("--bandwidth %v", err)
		}
		opt.Bandwidth = &n
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(i.String("log"))); err != nil {
		return opt, usagef("--log %s: debug, info, warn or error", i.String("log"))
	}
	opt.Log = slog.New(slog.NewTextHandler(i.Err, &slog.HandlerOptions{Level: level}))
	opt.Ready = i.ready
	return opt, nil
}

// ready tells the user that the peer is up, and how the next one joins.
func (i *invocation) ready(r Ready) {
	if i.Bool("json") {
		r.Status = r.Status.Filled()
		_ = printJSON(i.Out, r) // the peer runs on without a reader
		return
	}
	s := r.Status
	fmt.Fprintf(i.Out, "%s is up: peer %s of mesh %s (%s)\n", printable(s.Name), s.PeerID, printable(s.Mesh), s.MeshID)
	fmt.Fprintf(i.Out, "mesh on %s, local API on %s, control socket %s\n", s.Listen, s.API, r.Socket)
	if r.Join != "" {
		until := ""
		if r.Invitation != nil {
			until = " within " + i.age(r.Invitation.Expires)
		}
		fmt.Fprintf(i.Out, "on the next computer, type%s:\n\n    %s\n\n", until, r.Join)
	}
}
