package command

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
)

// printHelp tells how a verb is used.
func printHelp(out io.Writer, v *verb) error {
	var b strings.Builder
	name := strings.TrimSpace("slapd " + v.path())
	fmt.Fprintf(&b, "%s - %s\n\nusage: %s\n", name, v.brief, strings.TrimSpace(name+" "+v.args))
	if v.about != "" {
		fmt.Fprintf(&b, "\n%s\n", v.about)
	}
	if len(v.subs) > 0 {
		b.WriteString("\ncommands:\n")
		w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
		for _, s := range v.subs {
			fmt.Fprintf(w, "  %s\t%s\n", s.name, s.brief)
		}
		_ = w.Flush() // to memory
	}
	printFlags(&b, "flags", v.flags())
	printFlags(&b, "flags of every command, before or after it", globals())
	if v.name == "" {
		b.WriteString("\nslapd COMMAND --help tells more about each.\n\n" +
			"exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 not ready in time\n")
	}
	if len(v.examples) > 0 {
		b.WriteString("\nexamples:\n")
		for _, e := range v.examples {
			fmt.Fprintf(&b, "  %s\n", e)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func printFlags(b *strings.Builder, title string, flags []cli.Flag) {
	if len(flags) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	w := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	for _, f := range flags {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		value, usage := unquote(d.GetUsage())
		var all []string
		for _, n := range f.Names() {
			if len(n) == 1 {
				all = append(all, "-"+n)
			} else {
				all = append(all, "--"+n)
			}
		}
		text := strings.Join(all, ", ")
		switch {
		case isWait(f):
			text += "[=" + value + "]"
		case d.TakesValue():
			text += " " + value
		}
		fmt.Fprintf(w, "  %s\t%s\n", text, usage)
	}
	_ = w.Flush() // to memory
}

// unquote takes the name of the value from between backquotes.
func unquote(usage string) (value, text string) {
	before, rest, ok := strings.Cut(usage, "`")
	if !ok {
		return "VALUE", usage
	}
	value, after, _ := strings.Cut(rest, "`")
	return value, before + value + after
}
