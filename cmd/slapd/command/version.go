package command

import (
	"context"
	"fmt"
	"io"
)

func versionVerb() *verb {
	return &verb{
		name: "version", brief: "the version of this slapd",
		examples: []string{"slapd version"},
		run: func(_ context.Context, i *invocation) error {
			return i.show(map[string]string{"version": i.Version}, func(w io.Writer) { fmt.Fprintln(w, i.Version) })
		},
	}
}
