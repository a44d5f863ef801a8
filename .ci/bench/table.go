package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A table is what was measured, a line a figure.
type table struct {
	section string
	rows    [][]string
}

func (t *table) begin(section string) { t.section = section }

// add adds a figure, what else is to be known of it, and the load right now.
func (t *table) add(what, figure, note string) {
	row := []string{t.section, what, figure, note, load()}
	t.rows = append(t.rows, row)
	fmt.Fprintln(os.Stderr, "bench:", strings.Join(row, "  "))
}

func (t *table) print(w io.Writer) {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(out, "section\twhat\tmedian\tnote\tload")
	for _, row := range t.rows {
		_, _ = fmt.Fprintln(out, strings.Join(row, "\t"))
	}
	_ = out.Flush() // to a terminal or a file of the caller's
}

// load is the load average of the last minute.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	first, _, _ := strings.Cut(string(data), " ")
	return first
}

// quantile returns the value below which the share q of all lies. It sorts
// values.
func quantile[T ~int64 | ~float64](values []T, q float64) T {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[max(0, int(math.Ceil(q*float64(len(values))))-1)]
}

func median[T ~int64 | ~float64](values []T) T { return quantile(values, 0.5) }

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }

// spread says how a set of times is distributed.
func spread(all []time.Duration) string {
	return fmt.Sprintf("min %s, p99 %s, worst %s, of %d",
		millis(quantile(all, 0)), millis(quantile(all, 0.99)), millis(quantile(all, 1)), len(all))
}
