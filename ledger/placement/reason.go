package placement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Reason is why computers do not fit, and how many it excluded. A computer
// counts under its first reason only.
type Reason struct {
	Text  string
	Count int
	Wants string // what the filter asks, if it is about the filter
}

// A Refusal says that no computer fits.
type Refusal struct {
	Reference string
	Computers int // that were looked at
	Reasons   []Reason
	Unmet     bool // the filter, and not a lack of room, excluded them all
}

// Error returns the explanation, such as "no partition for db1: 3 computers:
// 2 full, 1 wrong country (wants FR)".
func (r *Refusal) Error() string {
	if r.Computers == 0 {
		return fmt.Sprintf("no partition for %s: no computer offers any", r.Reference)
	}
	noun := "computers"
	if r.Computers == 1 {
		noun = "computer"
	}
	var parts []string
	for _, reason := range r.Reasons {
		part := fmt.Sprintf("%d %s", reason.Count, reason.Text)
		if reason.Wants != "" {
			part += fmt.Sprintf(" (wants %s)", reason.Wants)
		}
		parts = append(parts, part)
	}
	return fmt.Sprintf("no partition for %s: %d %s: %s", r.Reference, r.Computers, noun, strings.Join(parts, ", "))
}

// maxReasons is how many reasons a refusal tells apart. The rarest beyond
// are counted together.
const maxReasons = 16

// reason says what c means to people.
func (s *search) reason(c cause) Reason {
	w := s.want
	if c >= clauses {
		if n := int(c - clauses); n < len(s.filter) {
			return Reason{Text: "wrong " + s.filter[n].Key, Wants: s.filter[n].Value}
		}
		return w.Expr.reason(int(c-clauses) - len(s.filter))
	}
	switch c {
	case fewCores, fewCoresFree:
		return Reason{Text: causes[c], Wants: FormatCores(w.Needs.Cores)}
	case littleMemory, littleMemoryFree:
		return Reason{Text: causes[c], Wants: FormatSize(w.Needs.Memory)}
	case littleDisk, littleDiskFree:
		return Reason{Text: causes[c], Wants: FormatSize(w.Needs.Disk)}
	case littleBandwidth, littleBandwidthFree:
		return Reason{Text: causes[c], Wants: FormatBandwidth(w.Needs.Bandwidth)}
	case dear:
		return Reason{Text: causes[c], Wants: "at most " + formatCredits(w.MaxPrice) + " credits an hour"}
	default:
		return Reason{Text: causes[c]}
	}
}

// causes say why computers do not fit.
var causes = [clauses]string{
	gone:                "lost",
	retired:             "retired",
	drained:             "drained",
	closed:              "closed",
	groups:              "for their owners' projects only",
	owners:              "for their owners only",
	weak:                "not isolated enough for strangers",
	notNear:             "not near enough",
	notApart:            "not apart enough",
	divides:             "where the filter divides by zero",
	overflows:           "where the filter overflows",
	fewCores:            "too few cores",
	littleMemory:        "too little memory",
	littleDisk:          "too little disk",
	littleBandwidth:     "too little bandwidth",
	full:                "full",
	fewCoresFree:        "too few cores free",
	littleMemoryFree:    "too little memory free",
	littleDiskFree:      "too little disk free",
	littleBandwidthFree: "too little bandwidth free",
	dear:                "too dear",
}

// unmet reports whether c is about what the computer is, and not about who
// may use it or a lack of room.
func (c cause) unmet() bool {
	return c >= notNear && c < full || c >= dear
}

// FormatCores prints thousandths of cores: "2.5 cores".
func FormatCores(n int64) string {
	if n == 1000 {
		return "1 core"
	}
	text := fmt.Sprintf("%d.%03d", n/1000, n%1000)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".") + " cores"
}

// formatCredits prints micro-credits as credits, with two to six decimals.
func formatCredits(n int64) string {
	text := fmt.Sprintf("%d.%06d", n/1_000_000, n%1_000_000)
	point := strings.IndexByte(text, '.')
	return text[:point+3] + strings.TrimRight(text[point+3:], "0")
}

// FormatSize prints bytes in the largest unit without a rest: "8 GiB".
func FormatSize(n int64) string {
	for _, u := range slices.Backward(units) {
		if n >= u.size && n%u.size == 0 {
			return fmt.Sprintf("%d %s", n/u.size, u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// FormatBandwidth prints bits per second in the largest unit without a rest:
// "100 Mbit/s".
func FormatBandwidth(n int64) string {
	unit := ""
	for _, u := range []string{"k", "M", "G", "T"} {
		if n == 0 || n%1000 != 0 {
			break
		}
		n, unit = n/1000, u
	}
	return fmt.Sprintf("%d %sbit/s", n, unit)
}

// explain counts why no computer fits w. It looks at them all: a refusal may
// cost more than a choice.
func (x *Index) explain(w *Want) *Refusal {
	s := x.newSearch(w, 1)
	refusal := &Refusal{Reference: w.Reference, Computers: x.candidates.Len(), Unmet: true}
	counts := make(map[cause]int)
	for _, e := range x.candidates.All() {
		counts[s.unfit(e)]++
	}
	for c, n := range counts {
		r := s.reason(c)
		r.Count = n
		refusal.Unmet = refusal.Unmet && c.unmet()
		refusal.Reasons = append(refusal.Reasons, r)
	}
	slices.SortFunc(refusal.Reasons, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Text, b.Text), cmp.Compare(a.Wants, b.Wants))
	})
	if len(refusal.Reasons) > maxReasons {
		rest := Reason{Text: "for other reasons"}
		for _, r := range refusal.Reasons[maxReasons-1:] {
			rest.Count += r.Count
		}
		refusal.Reasons = append(refusal.Reasons[:maxReasons-1:maxReasons-1], rest)
	}
	return refusal
}
