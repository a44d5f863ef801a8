package command

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// A line is a command line, arranged as urfave reads it.
type line struct {
	verb *verb    // what is to be done; the nameless one if none was named
	args []string // slapd VERB [SUB] --flags… -- arguments…
	help bool     // only its help is wanted
}

// arrange sorts a command line: flags may stand anywhere, also before the verb,
// up to "--". urfave stops to read flags at the first argument.
func arrange(args []string) (*line, error) {
	l := &line{verb: root()}
	var flags, positional []string
	named := false // no further verb can follow
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		switch {
		case word == "--":
			positional = append(positional, args...)
			args = nil
		case len(word) > 1 && word[0] == '-':
			if word == "-h" || word == "--help" || word == "-help" {
				l.help = true
				continue
			}
			var err error
			if word, args, err = withValue(l.verb, word, args); err != nil {
				return l, err
			}
			flags = append(flags, word)
		case !named && len(positional) == 0 && l.verb.sub(word) != nil:
			l.verb = l.verb.sub(word)
			named = len(l.verb.subs) == 0
		case l.verb.name == "" && word == "help":
			l.help = true
		case l.verb.name == "":
			return l, usagef("no command %q%s", word, didYouMean(word))
		default:
			named = true
			positional = append(positional, word)
		}
	}
	switch {
	case l.verb.name != "" || l.help:
	case len(flags) == 1 && (flags[0] == "--version" || flags[0] == "-version"):
		l.verb, flags = l.verb.sub("version"), nil
	default:
		return l, usagef("what is to be done?")
	}
	l.args = append([]string{"slapd"}, strings.Fields(l.verb.path())...)
	l.args = append(append(l.args, flags...), "--")
	l.args = append(l.args, positional...)
	return l, nil
}

// withValue joins a flag to its value, and returns what follows. A flag that is
// not known is left to urfave, which says so.
func withValue(v *verb, word string, rest []string) (string, []string, error) {
	name, _, has := strings.Cut(strings.TrimLeft(word, "-"), "=")
	known := find(v, name)
	switch {
	case known == nil || has:
		return word, rest, nil
	case isWait(known):
		return word + "=" + defaultWait, rest, nil
	case !takesValue(known):
		return word, rest, nil
	case len(rest) == 0:
		return word, rest, usagef("%s: its value is missing", word)
	}
	return word + "=" + rest[0], rest[1:], nil
}

// find looks a flag up where the line has got to. Before the verb is named,
// only the global ones are known.
func find(v *verb, name string) cli.Flag {
	for _, f := range append(v.flags(), globals()...) {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func takesValue(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}

// isWait tells the one flag whose value may be left out.
func isWait(f cli.Flag) bool { return f.Names()[0] == "wait" }

// didYouMean names the verb that begins most like what was typed.
func didYouMean(word string) string {
	best, most := "", 1
	for _, v := range table() {
		same := 0
		for same < min(len(word), len(v.name)) && word[same] == v.name[same] {
			same++
		}
		if same > most {
			best, most = ": did you mean "+v.name+"?", same
		}
	}
	return best
}
