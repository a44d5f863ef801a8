package release

import (
	"slices"

	"go.starlark.net/starlark"
)

// A Release is a profile that has been read and found sound. It never
// changes; several goroutines may evaluate it at once.
type Release struct {
	Name        string
	Version     string
	Title       string
	Description string
	Types       []string // at least one; the first is the default
	Sources     []Source
	Parameters  Schema

	// Serves says that an instance holds others, which are shared: places
	// inside it. Shared is the schema of their parameters.
	Serves bool
	Shared Schema

	// Egress says that instances need a way out to the Internet.
	Egress bool

	bundle   *Bundle
	instance *starlark.Function
}

// Digest names the bundle that the release was loaded from.
func (r *Release) Digest() string { return r.bundle.Digest() }

// HasType tells whether the release has instances of a type.
func (r *Release) HasType(name string) bool { return slices.Contains(r.Types, name) }
