package protocol

import (
	"context"
	"fmt"
)

// Wait follows an instance until it is what its requester asked for, and
// returns it. It ends at once, with the instance and an error, when the
// instance is in error; progress, if not nil, sees every value on the way. When
// ctx ends first, Wait returns the last value and an error that wraps ctx's.
func Wait(ctx context.Context, s Instances, ref Ref, progress func(Instance)) (Instance, error) {
	var last Instance
	for i, err := range s.Watch(ctx, InstanceQuery{Reference: ref.Reference, Account: ref.Account}) {
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			return last, err
		}
		last = i
		if progress != nil {
			progress(i)
		}
		switch {
		case i.Settled():
			return i, nil
		case i.State == StateError:
			return i, Errorf(ErrConflict, "%s is in error: %s", i.Reference, i.Reason)
		case i.State == StateDestroyed:
			return i, Errorf(ErrNotFound, "%s was destroyed meanwhile", i.Reference)
		}
	}
	if err := ctx.Err(); err != nil {
		return last, fmt.Errorf("wait for %s: %w", ref.Reference, err)
	}
	return last, Errorf(ErrUnavailable, "wait for %s: slapd stopped telling", ref.Reference)
}
