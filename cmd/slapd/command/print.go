package command

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/slapmesh/slapmesh/protocol"
)

// show prints a value: as JSON if that was asked, else as people read it.
func (i *invocation) show(v any, people func(io.Writer)) error {
	if i.Bool("json") {
		return printJSON(i.Out, v)
	}
	w := tabwriter.NewWriter(i.Out, 0, 0, 2, ' ', 0)
	people(w)
	return w.Flush()
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// row prints one line of a table.
func row(w io.Writer, cells ...any) {
	var texts []string
	for _, c := range cells {
		text := printable(fmt.Sprint(c))
		if text == "" {
			text = "-"
		}
		texts = append(texts, text)
	}
	fmt.Fprintln(w, strings.Join(texts, "\t"))
}

// printable keeps text from elsewhere from steering the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, text)
}

// pairs prints a map as k=v k=v, sorted.
func pairs[V any](m map[string]V) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%s=%v", k, m[k]))
	}
	return strings.Join(out, " ")
}

// ports lists the ports of an instance.
func ports(n protocol.Instance) string {
	list := make(map[string]protocol.Port, len(n.Ports))
	for name, number := range n.Ports {
		list[name] = protocol.Port{Number: number, UDP: slices.Contains(n.UDPPorts, name)}
	}
	return pairs(list)
}

// age prints how long ago something was, roughly.
func (i *invocation) age(at time.Time) string {
	d := i.Now().Sub(at)
	switch {
	case at.IsZero():
		return ""
	case d < 0:
		d = -d
	}
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Round(time.Second).Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Round(time.Minute).Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Round(time.Hour).Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
