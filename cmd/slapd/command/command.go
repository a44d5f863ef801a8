package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

// Config is what a command line may touch.
type Config struct {
	In       io.Reader
	Out, Err io.Writer

	// Terminal says that Err is one: progress is drawn over itself.
	Terminal bool

	// Env looks up a variable of the environment.
	Env func(string) string

	// Now is the time, for ages and throttling.
	Now func() time.Time

	// Root says that the user is root, whose state folder is another.
	Root bool

	// Version of this slapd.
	Version string

	// Peer runs peers.
	Peer Peer

	// Profiles reads and writes releases of the user's own.
	Profiles Profiles

	// Take takes over the user's terminal. Nil if there never is one.
	Take func() (*Terminal, error)
}

// A Terminal is the user's, while its keys go elsewhere.
type Terminal struct {
	Size    TerminalSize
	Sizes   <-chan TerminalSize // each later one
	Restore func()
}

// A TerminalSize is in characters.
type TerminalSize = protocol.TerminalSize

// The exit codes.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNotReady = 3
)

// A usageError is a command line that was typed wrongly.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// An exitError ends slapd with a code of its own. Its text, if any, is shown.
type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return e.text }

// Main runs one command line, given without the program's name, and returns its
// exit code. It writes at most one line about an error, and the usage if the
// line was typed wrongly.
func Main(ctx context.Context, cfg Config, args []string) int {
	line, err := arrange(args)
	if err == nil && line.help {
		err = printHelp(cfg.Out, line.verb)
	} else if err == nil {
		err = run(ctx, &cfg, line)
	}
	return conclude(ctx, &cfg, line, err)
}

// conclude says what went wrong, and returns the code for it.
func conclude(ctx context.Context, cfg *Config, line *line, err error) int {
	name := strings.TrimSpace("slapd " + line.verb.path())
	var usage *usageError
	var exit *exitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		fmt.Fprintf(cfg.Err, "%s: %s\nusage: %s (see %s --help)\n", name, oneLine(once(line.verb, usage)), strings.TrimSpace(name+" "+line.verb.args), name)
		return exitUsage
	case errors.As(err, &exit):
		if exit.text != "" {
			fmt.Fprintf(cfg.Err, "%s: %s\n", name, oneLine(exit.text))
		}
		return exit.code
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintf(cfg.Err, "%s: interrupted\n", name)
		return exitFailed
	}
	fmt.Fprintf(cfg.Err, "%s: %s\n", name, oneLine(once(line.verb, err)))
	return exitFailed
}

// once is an error without what it begins with if that only repeats the verb,
// behind whose name it is printed: those who refuse say what they were asked,
// for callers that have asked more than one thing. An error about who asks
// keeps all its words: "token" there is not the verb.
func once(v *verb, err error) string {
	text := err.Error()
	if protocol.CodeOf(err) == protocol.ErrUnauthorized {
		return text
	}
	for ; v != nil && v.name != ""; v = v.parent {
		rest, same := strings.CutPrefix(text, v.name)
		if !same {
			continue
		}
		if cause, ok := strings.CutPrefix(rest, ": "); ok { // leave: …
			return cause
		}
		rest = strings.TrimPrefix(rest, " of") // role of a: …
		object, _, ok := strings.Cut(strings.TrimPrefix(rest, " "), ": ")
		if ok && strings.HasPrefix(rest, " ") && !strings.Contains(object, " ") { // request db1: …
			return rest[1:]
		}
	}
	return text
}

// run hands an arranged line to urfave, which reads the flags, and then to its
// verb.
func run(ctx context.Context, cfg *Config, line *line) error {
	app := &cli.App{
		Name: "slapd", Writer: cfg.Out, ErrWriter: cfg.Err,
		HideHelp: true, HideVersion: true, DisableSliceFlagSeparator: true,
		ExitErrHandler: func(*cli.Context, error) {},
		Commands:       commands(table(), func(c *cli.Context, v *verb) error { return call(c, cfg, v) }),
	}
	return app.RunContext(ctx, line.args)
}

// commands turns verbs into what urfave wants.
func commands(verbs []*verb, action func(*cli.Context, *verb) error) []*cli.Command {
	var out []*cli.Command
	for _, v := range verbs {
		out = append(out, &cli.Command{
			Name: v.name, HideHelp: true, Flags: append(v.flags(), globals()...),
			Subcommands: commands(v.subs, action),
			Action:      func(c *cli.Context) error { return action(c, v) },
			OnUsageError: func(_ *cli.Context, err error, _ bool) error {
				return usagef("%s", strings.ReplaceAll(err.Error(), "flag provided but not defined: -", "no such flag: --"))
			},
		})
	}
	return out
}

// call checks the number of arguments and runs the verb.
func call(c *cli.Context, cfg *Config, v *verb) error {
	if v.run == nil {
		return usagef("one of %s wanted", strings.Join(names(v.subs), ", "))
	}
	args := c.Args().Slice()
	if len(args) < v.min {
		return usagef("%s is missing", argument(v.args, len(args)))
	}
	if v.max >= 0 && len(args) > v.max {
		return usagef("unexpected argument %q%s", args[v.max], hint(c, args[v.max]))
	}
	i := &invocation{Config: cfg, Context: c, args: args}
	defer i.close()
	return v.run(c.Context, i)
}

// hint helps who wrote the value of --wait apart from it.
func hint(c *cli.Context, arg string) string {
	if _, err := time.ParseDuration(arg); err == nil && c.IsSet("wait") {
		return ": write --wait=" + arg
	}
	return ""
}

// argument is the word in args, such as "RELEASE REFERENCE", at a place.
func argument(args string, at int) string {
	words := strings.Fields(args)
	if at < len(words) {
		if word, optional := strings.CutPrefix(words[at], "["); optional {
			return strings.TrimRight(word, "]")
		}
		return words[at]
	}
	return "an argument"
}

// oneLine keeps an error on its line.
func oneLine(text string) string {
	return printable(strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; "))
}

// An invocation is one verb that runs.
type invocation struct {
	*Config
	*cli.Context
	args []string

	client interface {
		protocol.Service
		Close() error
	}
}

func (i *invocation) close() {
	if i.client != nil {
		_ = i.client.Close() // idle connections
	}
}
