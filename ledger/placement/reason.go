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

// The reasons other than the filter, in the order in which they are looked
// for.
var (
	reasonGone   = Reason{Text: "lost"}
	reasonClosed = Reason{Text: "closed"}
	reasonOwners = Reason{Text: "for their owners only"}
	reasonWeak   = Reason{Text: "not isolated enough for strangers"}
	reasonFull   = Reason{Text: "full"}
)

// unfit returns why c cannot take what w wants, or nil if it can.
func (w Want) unfit(c *Candidate) *Reason {
	switch stranger := c.Owner != w.Account; {
	case c.Silent:
		return &reasonGone
	case c.Closed:
		return &reasonClosed
	case stranger && c.Only:
		return &reasonOwners
	case stranger && w.Strangers && c.Weak && !c.Public:
		return &reasonWeak
	}
	if r := w.mismatch(c); r != nil {
		return r
	}
	if c.Free <= 0 {
		return &reasonFull
	}
	return nil
}

// mismatch returns the clause of the filter that excludes c, or nil.
func (w Want) mismatch(c *Candidate) *Reason {
	for _, k := range sortedKeys(w.Filter) {
		if v := w.Filter[k]; !c.satisfies(k, v) {
			return &Reason{Text: "wrong " + k, Wants: v}
		}
	}
	return nil
}

func (c *Candidate) satisfies(key, value string) bool {
	switch key {
	case "computer":
		return c.ID == value || c.Name == value
	case "grade":
		return c.Grade == value
	case "arch":
		return c.Arch == value
	}
	got, ok := c.Labels[key]
	return ok && got == value
}

// explain counts why no computer fits w. It looks at them all: a refusal may
// cost more than a choice.
func (x *Index) explain(w Want) *Refusal {
	refusal := &Refusal{Reference: w.Reference, Computers: x.candidates.Len(), Unmet: true}
	counts := make(map[Reason]int)
	for _, c := range x.candidates.All() {
		if r := w.unfit(c); r != nil {
			counts[*r]++
			refusal.Unmet = refusal.Unmet && r.Wants != ""
		}
	}
	for r, n := range counts {
		r.Count = n
		refusal.Reasons = append(refusal.Reasons, r)
	}
	slices.SortFunc(refusal.Reasons, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Text, b.Text))
	})
	return refusal
}
