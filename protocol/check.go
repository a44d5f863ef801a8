package protocol

import (
	"fmt"
	"maps"
	"slices"
)

// Bounds on what a request may carry.
const (
	maxReference = 128
	maxName      = 64
	maxRelease   = 1024
	maxKeys      = 256
	maxKey       = 256
	maxFilter    = 64
)

// Check refuses what no implementation could accept: it is the schema of the
// request, said in Go because every request passes it.
func (in RequestInput) Check() error {
	if err := checkReference(in.Reference); err != nil {
		return err
	}
	if err := in.checkTree(); err != nil {
		return Errorf(ErrInvalid, "request %s: %v", in.Reference, err)
	}
	if len(in.Release) > maxRelease {
		return Errorf(ErrInvalid, "request %s: release has %d bytes, more than %d", in.Reference, len(in.Release), maxRelease)
	}
	for _, f := range [...]struct{ what, value string }{{"type", in.Type}, {"account", in.Account}} {
		if len(f.value) > maxName {
			return Errorf(ErrInvalid, "request %s: %s has %d bytes, more than %d", in.Reference, f.what, len(f.value), maxName)
		}
	}
	switch in.State {
	case "", RequestStarted, RequestStopped, RequestDestroyed:
	default:
		return Errorf(ErrInvalid, "request %s: state %q is none of started, stopped, destroyed", in.Reference, in.State)
	}
	if err := in.checkPlace(); err != nil {
		return Errorf(ErrInvalid, "request %s: %v", in.Reference, err)
	}
	if err := in.checkParameters(); err != nil {
		return Errorf(ErrInvalid, "request %s: %v", in.Reference, err)
	}
	if err := in.checkFilter(); err != nil {
		return Errorf(ErrInvalid, "request %s: %v", in.Reference, err)
	}
	return nil
}

func (in RequestInput) checkParameters() error {
	if len(in.Parameters) > maxKeys {
		return fmt.Errorf("%d parameters are more than %d", len(in.Parameters), maxKeys)
	}
	size := 0
	for _, key := range slices.Sorted(maps.Keys(in.Parameters)) {
		if key == "" || len(key) > maxKey {
			return fmt.Errorf("parameter name %.20q: between 1 and %d bytes wanted", key, maxKey)
		}
		size += len(key) + len(in.Parameters[key])
	}
	if size > MaxParameters {
		return fmt.Errorf("parameters have %d bytes, more than %d", size, MaxParameters)
	}
	return nil
}

func (in RequestInput) checkFilter() error {
	if len(in.Filter) > maxFilter {
		return fmt.Errorf("%d filters are more than %d", len(in.Filter), maxFilter)
	}
	for _, key := range slices.Sorted(maps.Keys(in.Filter)) {
		if key == "" || len(key) > maxKey || len(in.Filter[key]) > maxKey {
			return fmt.Errorf("filter %.20q: between 1 and %d bytes wanted on each side", key, maxKey)
		}
	}
	return nil
}

// checkReference refuses references that would not survive a terminal or a
// path of the API.
func checkReference(reference string) error {
	switch {
	case reference == "":
		return Errorf(ErrInvalid, "request: reference is missing: name the instance, as in db1")
	case len(reference) > maxReference:
		return Errorf(ErrInvalid, "request %.20s…: reference has %d bytes, more than %d", reference, len(reference), maxReference)
	case reference == "." || reference == "..":
		return Errorf(ErrInvalid, "request %s: reference cannot be a folder's own name", reference)
	case unprintable(reference):
		return Errorf(ErrInvalid, "request %q: reference has characters that do not print", reference)
	}
	return nil
}
