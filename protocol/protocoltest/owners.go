package protocoltest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slapmesh/slapmesh/protocol"
)

// A castle is what its owner says of the one computer.
type castle struct {
	owner, scope     string
	labels           map[string]string
	drained, retired bool
}

func newCastle() castle {
	return castle{owner: publisher, scope: "mesh", labels: map[string]string{"country": "FR"}}
}

// SetComputer implements [protocol.Owners].
func (c *caller) SetComputer(ctx context.Context, in protocol.ComputerInput) (protocol.Computer, error) {
	return c.steward(ctx, in.Computer, func(k *castle) error {
		if in.Reset {
			k.scope, k.labels = newCastle().scope, newCastle().labels
		}
		if in.Scope != "" {
			k.scope = in.Scope
		}
		k.labels = maps.Clone(k.labels)
		maps.Copy(k.labels, in.Labels)
		maps.DeleteFunc(k.labels, func(_, v string) bool { return v == "" })
		return nil
	})
}

// DrainComputer implements [protocol.Owners].
func (c *caller) DrainComputer(ctx context.Context, in protocol.DrainInput) (protocol.Computer, error) {
	return c.steward(ctx, in.Computer, func(k *castle) error {
		k.drained = in.Drained
		return nil
	})
}

// EmptyComputer implements [protocol.Owners]. There is no other computer.
func (c *caller) EmptyComputer(ctx context.Context, in protocol.EmptyInput) ([]protocol.Leaving, error) {
	out := []protocol.Leaving{}
	_, err := c.steward(ctx, in.Computer, func(*castle) error {
		for _, i := range c.instances {
			out = append(out, protocol.Leaving{
				Instance: fmt.Sprint("i", i.ID), Account: i.Account, Reference: i.Reference,
				Why: "no partition for " + i.Reference + ": 1 computer: 1 not apart enough",
			})
		}
		return nil
	})
	slices.SortFunc(out, func(a, b protocol.Leaving) int { return strings.Compare(a.Instance, b.Instance) })
	return out, err
}

// RetireComputer implements [protocol.Owners].
func (c *caller) RetireComputer(ctx context.Context, in protocol.RetireInput) (protocol.Computer, error) {
	return c.steward(ctx, in.Computer, func(k *castle) error {
		if n := len(c.instances); n > 0 && !in.Force {
			return protocol.Errorf(protocol.ErrConflict, "retire computer castle: instances are placed there (%d): destroy them first, or retire it with --force, which destroys them", n)
		}
		k.retired = true
		return nil
	})
}

// GiveComputer implements [protocol.Owners].
func (c *caller) GiveComputer(ctx context.Context, in protocol.GiveInput) (protocol.Computer, error) {
	return c.steward(ctx, in.Computer, func(k *castle) error {
		if err := c.till.exists(in.Account); err != nil {
			return err
		}
		k.owner = in.Account
		return nil
	})
}

// steward changes the one computer for its owner or an operator.
func (c *caller) steward(ctx context.Context, computer string, do func(*castle) error) (protocol.Computer, error) {
	if computer != "" && computer != "peer1" && computer != "castle" {
		return protocol.Computer{}, protocol.Errorf(protocol.ErrNotFound, "computer %s: not known: see slapd computers", computer)
	}
	err := func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.operator && c.account != c.castle.owner {
			return protocol.Errorf(protocol.ErrForbidden, "the computer belongs to %s", c.castle.owner)
		}
		return do(&c.castle)
	}()
	if err != nil {
		return protocol.Computer{}, err
	}
	all, err := c.Computers(ctx)
	return all[0], err
}
