// Command slapd makes this computer a peer of a mesh, and asks the mesh for
// things.
//
//	slapd init                          found a mesh
//	slapd join HOST:7527 --token T      join one
//	slapd request mariadb db1 --wait    ask for a database, get its URL
//
// Run "slapd help" for all commands.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/slapmesh/slapmesh/cmd/slapd/command"
	"github.com/slapmesh/slapmesh/partition/sandbox/wayout"
	"github.com/slapmesh/slapmesh/partition/supervisor"
	"github.com/slapmesh/slapmesh/partition/taste"
)

func main() {
	if supervisor.Is(os.Args) { // this program is also what runs inside partitions
		time.AfterFunc(settled, shrink)
		os.Exit(supervisor.Main(os.Args))
	}
	if wayout.Is(os.Args) {
		os.Exit(wayout.Main(os.Args))
	}
	if taste.Is(os.Args) {
		os.Exit(taste.Main())
	}
	os.Exit(slapd(os.Args[1:], time.Now))
}

// slapd runs one command line by the given clock, and returns its exit code.
func slapd(args []string, clock func() time.Time) int {
	// The library prints a hint about socket buffers to standard error, which
	// an ordinary user cannot follow.
	_ = os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	tuneGC(clock)
	time.AfterFunc(settled, shrink)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	return command.Main(ctx, config(clock), args)
}

// settled is when what a long-lived process needs for its start is done.
const settled = 10 * time.Second

// shrink makes a long-lived process smaller, if that can be.
func shrink() { _ = releaseProgram() }

// config is what the command line may touch of the process.
func config(clock func() time.Time) command.Config {
	return command.Config{
		In:       os.Stdin,
		Out:      os.Stdout,
		Err:      os.Stderr,
		Terminal: term.IsTerminal(int(os.Stderr.Fd())),
		Env:      os.Getenv,
		Now:      clock,
		Root:     os.Getuid() == 0,
		Version:  version(),
		Peer:     peer{clock},
		Profiles: profiles{},
		Take:     takeTerminal,
	}
}

// version is that of the module this program was built from.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "devel"
}
