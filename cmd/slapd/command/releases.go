package command

import (
	"context"
	"io"
	"strings"
)

func releasesVerb() *verb {
	return &verb{
		name: "releases", brief: "what can be requested by name",
		about:    "With --json, each has the JSON Schema of its parameters.",
		examples: []string{"slapd releases", "slapd releases --json"},
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
