// Command bench measures slapd as its users meet it: real processes on this
// computer, asked through one peer's API. Beside it, in the same minutes, it
// measures etcd for what both can do.
//
//	make bench                       everything, about ten minutes
//	.ci/bench/run -only commands     one section: commands, start, join, failover or idle
//	.ci/bench/run -runs 5 -time 5s   more runs, each longer
//	make scale PEERS=300             what a peer costs in a large mesh
//
// Figures are medians of the runs. The computer's load stands beside them,
// because it decides them: compare what was measured in one run, and take CPU
// time per command for the steadier figure.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Options say what is measured and how long.
type options struct {
	slapd, etcd string        // programs
	dir         string        // for everything that is written
	runs        int           // of each measurement
	time        time.Duration // of one run under load
	peers       int           // of the mesh that is joined
	rounds      int           // of failover, and of requests
	idle        time.Duration
	settle      time.Duration // before a large mesh counts as idle
	together    int           // of a large mesh, how many start at a time
	only        string
	match       string
}

// A section measures one thing and adds to the table.
type section struct {
	name string
	run  func(context.Context, options, *table) error
}

var sections = []section{
	{"commands", commands},
	{"start", start},
	{"join", join},
	{"failover", failover},
	{"idle", idle},
	{"scale", scale},
}

func main() {
	var opt options
	flag.StringVar(&opt.slapd, "slapd", "bin/slapd", "the `program` to measure")
	flag.StringVar(&opt.etcd, "etcd", "etcd", "etcd, to compare with (Debian package etcd-server); skipped if it is not there")
	flag.StringVar(&opt.dir, "dir", "", "where to write (default: a temporary folder)")
	flag.IntVar(&opt.runs, "runs", 3, "runs of each measurement under load")
	flag.DurationVar(&opt.time, "time", 4*time.Second, "how long one of them takes")
	flag.IntVar(&opt.peers, "peers", 20, "peers of the mesh that is joined")
	flag.IntVar(&opt.rounds, "rounds", 10, "rounds of failover and joining; three times as many requests")
	flag.DurationVar(&opt.idle, "idle", 30*time.Second, "how long an idle mesh is watched")
	flag.DurationVar(&opt.settle, "settle", 20*time.Second, "how long a large mesh is left alone before it is watched")
	flag.IntVar(&opt.together, "together", 8, "how many peers of a large mesh start at a time")
	flag.StringVar(&opt.only, "only", "", "sections to run, separated by commas (default: all but scale)")
	flag.StringVar(&opt.match, "match", "", "of the commands section, only rows that contain this `text`, such as \"follower, 128\"")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, opt); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // stop only restores signals
	}
}

func run(ctx context.Context, opt options) (err error) {
	if opt.slapd, err = filepath.Abs(opt.slapd); err != nil {
		return err
	}
	if opt.dir == "" {
		if opt.dir, err = os.MkdirTemp("", "bench-"); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(opt.dir) }()
	}
	wanted := strings.FieldsFunc(opt.only, func(r rune) bool { return r == ',' })
	t := &table{}
	for _, s := range sections {
		if len(wanted) > 0 && !slices.Contains(wanted, s.name) || len(wanted) == 0 && s.name == "scale" {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %s\n", s.name)
		t.begin(s.name)
		if err := s.run(ctx, opt, t); err != nil {
			t.print(os.Stdout)
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	t.print(os.Stdout)
	return nil
}
