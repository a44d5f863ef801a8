package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"
)

// Options says how to run the demo.
type Options struct {
	// Binary is the path of slapd. Required.
	Binary string

	// Peers is how many peers make the mesh: 3 to 9. Default 3.
	Peers int

	// Keep leaves the mesh running at the end.
	Keep bool

	// Dir is where the peers keep their state; it must not exist or be empty.
	// Default: a new folder for temporary files, removed at the end unless
	// Keep.
	Dir string

	// Env is added to the environment of the peers.
	Env []string

	// Out is told what happens.
	Out io.Writer

	// Clock measures the steps.
	Clock func() time.Time
}

// The bounds of the demo: of peers, and of a step. The longest steps download
// and unpack a database.
const (
	minPeers   = 3
	maxPeers   = 9
	stepLimit  = 10 * time.Minute
	cleanLimit = time.Minute
)

// Run runs the demo and returns what went wrong first, if anything did.
func Run(ctx context.Context, opt Options) error {
	if opt.Peers == 0 {
		opt.Peers = minPeers
	}
	if opt.Peers < minPeers || opt.Peers > maxPeers {
		return fmt.Errorf("demo: %d peers: from %d (one may die and two still agree) to %d", opt.Peers, minPeers, maxPeers)
	}
	dir, err := makeDir(opt.Dir)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	s := &show{opt: opt, dir: dir, began: opt.Clock()}
	err = s.play(ctx)
	if !opt.Keep {
		// The mesh is taken down also when the user has lost patience.
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanLimit)
		defer cancel()
		err = errors.Join(err, s.step(clean, "clean up: destroy what is left, stop the peers", s.clean))
	}
	s.summary(err)
	switch {
	case opt.Keep && err == nil:
		s.hints()
	case opt.Keep:
		fmt.Fprintf(opt.Out, "\nWhat is up stays up. The peers log to %s/*/slapd.log\n", s.dir)
	case err != nil:
		fmt.Fprintln(opt.Out, "\nTo look at the peers and their logs after a failure: slapd demo --keep")
	}
	return err
}

func makeDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "slapd-demo-")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if found, err := os.ReadDir(dir); err == nil && len(found) > 0 {
		return "", fmt.Errorf("folder %s is not empty: name another one", dir)
	}
	return dir, os.MkdirAll(dir, 0o700)
}

// A show is one run of the demo.
type show struct {
	opt   Options
	dir   string
	began time.Time
	done  []result

	peers []*peer
	cast
}

// A result is one line of the summary.
type result struct {
	title string
	took  time.Duration
	err   error
}

// play runs the steps up to the first that fails.
func (s *show) play(ctx context.Context) error {
	for _, step := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"found a mesh of one peer", s.found},
		{fmt.Sprintf("%d more peers join it with one token, and vote", s.opt.Peers-1), s.join},
		{"request mariadb as db1 through a peer that does not lead", s.requestMariaDB},
		{"write a row with MariaDB's own client through the URL", s.writeRow},
		{"kill -9 the leader; the same request elsewhere gives the same instance", s.killLeader},
		{"read the row through another peer", s.readRow},
		{"the others notice who is gone", s.noticeDeath},
		{"request postgresql as db2 and ask it", s.requestPostgreSQL},
	} {
		if err := s.step(ctx, step.title, step.do); err != nil {
			return err
		}
	}
	return nil
}

// step runs one step, says so and remembers how it went.
func (s *show) step(ctx context.Context, title string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stepLimit, fmt.Errorf("not within %v", stepLimit))
	defer cancel()
	fmt.Fprintf(s.opt.Out, "\n%d. %s\n", len(s.done)+1, title)
	start := s.opt.Clock()
	err := do(ctx)
	took := s.opt.Clock().Sub(start)
	if err != nil {
		err = fmt.Errorf("%s: %w", title, err)
		s.say("FAILED: %v", err)
	} else {
		s.say("done in %s", seconds(took))
	}
	s.done = append(s.done, result{title, took, err})
	return err
}

// say narrates, with the time since the demo began.
func (s *show) say(format string, args ...any) {
	fmt.Fprintf(s.opt.Out, "%7s  %s\n", seconds(s.opt.Clock().Sub(s.began)), fmt.Sprintf(format, args...))
}

func (s *show) summary(err error) {
	fmt.Fprintln(s.opt.Out)
	table := tabwriter.NewWriter(s.opt.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STEP\tTIME\tRESULT\tWHAT")
	for n, r := range s.done {
		verdict := "ok"
		if r.err != nil {
			verdict = "FAILED"
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\n", n+1, seconds(r.took), verdict, r.title)
	}
	_ = table.Flush() // to a console
	if err == nil {
		fmt.Fprintf(s.opt.Out, "\nEvery step is done, in %s. Nothing acknowledged was lost.\n", seconds(s.opt.Clock().Sub(s.began)))
	}
}

func (s *show) hints() {
	alive := s.survivors()[0]
	fmt.Fprintf(s.opt.Out, `
The mesh is up. Try:
  %[1]s --dir %[2]s status
  %[1]s --dir %[2]s list
  %[1]s --dir %[2]s show db1
  %[1]s --dir %[2]s exec db2 -- psql %[4]s
  %[1]s --dir %[2]s request redis cache --wait
  %[1]s run --dir %[3]s          # the killed peer comes back
When done: destroy what runs, stop the peers (pkill -f %[5]s), remove %[5]s
`, s.opt.Binary, alive.dir, s.leader.dir, s.db2.Connection["url"], s.dir)
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + "s" }
