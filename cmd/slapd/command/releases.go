package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func releasesVerb() *verb {
	return &verb{
		name: "releases", brief: "what can be requested by name",
		about:    "With --json, each has the JSON Schema of its parameters.",
		examples: []string{"slapd releases", "slapd releases --json"},
		subs:     []*verb{releasesVerifyVerb()},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			releases, err := service.Releases(ctx)
			if err != nil {
				return err
			}
			return i.show(releases, func(w io.Writer) {
				row(w, "RELEASE", "VERSION", "TYPES", "TITLE")
				for _, r := range releases {
					row(w, r.Name, r.Version, strings.Join(r.Types, " "), r.Title)
				}
			})
		},
	}
}

func releasesVerifyVerb() *verb {
	return &verb{
		name: "verify", brief: "read every file of the releases on this computer, and repair what came to harm",
		about: "Each file is compared with its digest. What a disk has spoilt, or somebody has changed, is taken\n" +
			"from a peer that has it or made anew, in its place: instances that run go on. For operators, and\n" +
			"for whom the computer belongs to.",
		examples: []string{"slapd releases verify", "slapd releases verify --no-repair --json"},
		options: func() []cli.Flag {
			return []cli.Flag{&cli.BoolFlag{Name: "no-repair", Usage: "only say what is damaged"}}
		},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			checked, err := service.VerifyReleases(ctx, protocol.VerifyReleasesInput{Repair: !i.Bool("no-repair")})
			if err != nil {
				return err
			}
			if err := i.show(checked, func(w io.Writer) { printVerified(w, checked) }); err != nil {
				return err
			}
			damaged := 0
			for _, t := range checked {
				if t.State == protocol.TreeDamaged {
					damaged++
				}
			}
			if damaged > 0 {
				hint := "see why above, then run it again"
				if i.Bool("no-repair") {
					hint = "run it without --no-repair"
				}
				return &exitError{exitFailed, fmt.Sprintf("%d of %d trees are damaged: %s", damaged, len(checked), hint)}
			}
			return nil
		},
	}
}

// shownDamage is how many damaged files are listed of one tree.
const shownDamage = 10

func printVerified(w io.Writer, all []protocol.VerifiedTree) {
	row(w, "TREE", "STATE", "FILES", "SIZE", "RELEASES")
	for _, t := range all {
		row(w, t.Tree[:min(len(t.Tree), 12)], t.State, t.Files, fmt.Sprintf("%.1f MiB", float64(t.Bytes)/(1<<20)), strings.Join(t.Releases, " "))
		for n, d := range t.Damage {
			if n == shownDamage {
				fmt.Fprintf(w, "  and %d more\n", len(t.Damage)-n)
				break
			}
			fmt.Fprintf(w, "  %s\n", printable(strings.TrimSpace(d.Path+" "+d.What)))
		}
		if t.Reason != "" {
			fmt.Fprintf(w, "  %s\n", printable(t.Reason))
		}
	}
}
