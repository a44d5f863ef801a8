package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/cmd/slapd/command"
	"github.com/slapmesh/slapmesh/cmd/slapd/daemon"
	"github.com/slapmesh/slapmesh/cmd/slapd/demo"
	"github.com/slapmesh/slapmesh/partition/build"
)

// peer runs peers for the command line.
type peer struct{ clock func() time.Time }

var _ command.Peer = peer{}

// Init founds a mesh and runs its first peer.
func (p peer) Init(ctx context.Context, opt command.InitOptions) error {
	cfg, err := p.config(opt.RunOptions)
	if err != nil {
		return err
	}
	err = daemon.Found(cfg, daemon.FoundOptions{Settings: settingsOf(opt.RunOptions), Mesh: opt.Mesh, Open: opt.Open, Ask: opt.Approve})
	if err != nil || opt.EnrollOnly {
		return err
	}
	return run(ctx, cfg, opt.RunOptions, true)
}

// Join joins a mesh and runs this peer of it.
func (p peer) Join(ctx context.Context, opt command.JoinOptions) error {
	cfg, err := p.config(opt.RunOptions)
	if err != nil {
		return err
	}
	result, err := daemon.Join(ctx, cfg, daemon.JoinOptions{
		Settings: settingsOf(opt.RunOptions), Address: opt.Address, Token: opt.Token, Check: opt.Check, Told: opt.Told, Waits: opt.Waits,
	})
	if err != nil || opt.EnrollOnly || opt.Check {
		return err
	}
	cfg.Seeds = result.Seeds
	return run(ctx, cfg, opt.RunOptions, false)
}

// Run runs the peer of a folder again.
func (p peer) Run(ctx context.Context, opt command.RunOptions) error {
	cfg, err := p.config(opt)
	if err != nil {
		return err
	}
	return run(ctx, cfg, opt, false)
}

// Demo shows a mesh on this machine.
func (p peer) Demo(ctx context.Context, opt command.DemoOptions) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	var env []string
	if cache, err := build.UserDir(); err == nil && os.Getenv(cacheVariable) == "" {
		env = []string{cacheVariable + "=" + cache} // the next demo downloads nothing
	}
	return demo.Run(ctx, demo.Options{
		Binary: binary, Peers: opt.Peers, Keep: opt.Keep, Dir: opt.Dir, Env: env, Out: os.Stdout, Clock: p.clock,
	})
}

// cacheVariable names a folder for downloaded packages that the peers of one
// computer may share.
const cacheVariable = "SLAPD_CACHE"

func (p peer) config(opt command.RunOptions) (daemon.Config, error) {
	binary, err := os.Executable()
	if err != nil {
		return daemon.Config{}, fmt.Errorf("find this program: %w", err)
	}
	return daemon.Config{
		Dir:     opt.Dir,
		Clock:   p.clock,
		Log:     opt.Log,
		Version: version(),
		Binary:  binary,
		Cache:   os.Getenv(cacheVariable),
	}, nil
}

func settingsOf(opt command.RunOptions) daemon.Settings {
	return daemon.Settings{
		Name:        opt.Name,
		Listen:      opt.Listen,
		API:         opt.API,
		Advertise:   opt.Advertise,
		Partitions:  opt.Partitions,
		Bandwidth:   opt.Bandwidth,
		Labels:      opt.Labels,
		NoDiscovery: opt.NoDiscovery,

		NoRelay: opt.NoRelay, RelayRate: opt.RelayRate, NoPortMapping: opt.NoPortMapping, NoBuild: opt.NoBuild, PrivateSources: opt.PrivateSources,
		Egress: opt.Egress,
	}
}

// run runs a peer until ctx is done, and tells its user when it is up; the
// first peer of a mesh also makes an invitation. One whose copy of the ledger
// is damaged is opened again, without it.
func run(ctx context.Context, cfg daemon.Config, opt command.RunOptions, invite bool) (err error) {
	if ready := opt.Ready; ready != nil {
		var told sync.Once
		opt.Ready = func(r command.Ready) { told.Do(func() { ready(r) }) }
	}
	for {
		err := runOnce(ctx, cfg, opt, invite)
		if damaged := (*daemon.DamagedError)(nil); !errors.As(err, &damaged) || ctx.Err() != nil {
			return err
		}
		opt.Log.Error("stopped, and starts again", "err", err)
		invite = false
	}
}

func runOnce(ctx context.Context, cfg daemon.Config, opt command.RunOptions, invite bool) (err error) {
	d, err := daemon.Open(ctx, cfg, settingsOf(opt))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		err := d.Run(ctx)
		cancel()
		done <- err
	}()
	if up, ready := d.Ready(ctx, invite); ready == nil && opt.Ready != nil {
		opt.Ready(command.Ready{Status: up.Status, Socket: up.Socket, Invitation: up.Invitation, Join: up.Join})
	}
	err = <-done
	return errors.Join(err, d.Close()) //nolint:contextcheck // ctx is done by now, and closing goes on
}
