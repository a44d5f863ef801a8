package protocoltest

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// enter makes an instance a child of the one that requested it. The caller
// holds mu.
func (m *Mesh) enter(key protocol.Ref, i *protocol.Instance, in protocol.RequestInput) error {
	keep, err := protocol.ParseKeep(in.Keep)
	if err != nil {
		return err
	}
	if keep != nil {
		i.Keep = keep.String()
	}
	i.Scope = cmp.Or(in.Scope, i.Scope)
	if in.Parent == "" {
		return nil
	}
	parent, ok := m.instances[protocol.Ref{Reference: in.Parent, Account: key.Account}]
	if !ok || parent.State == protocol.StateDestroyed {
		return protocol.Errorf(protocol.ErrNotFound, "instance %s: not known: see slapd list", in.Parent)
	}
	i.Parent, i.Root = parent.Reference, cmp.Or(parent.Root, parent.Reference)
	if parent.RequestedState == protocol.RequestStopped && i.RequestedState == protocol.RequestStarted {
		i.RequestedState, i.AskedState = protocol.RequestStopped, protocol.RequestStarted
	}
	return nil
}

// Tree implements [protocol.Trees].
func (c *caller) Tree(ctx context.Context, ref protocol.Ref) ([]protocol.Instance, error) {
	i, err := c.Instance(ctx, ref)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	root, all := cmp.Or(i.Root, i.Reference), []protocol.Instance{}
	for _, other := range c.instances {
		if other.Account == i.Account && cmp.Or(other.Root, other.Reference) == root && other.State != protocol.StateDestroyed {
			all = append(all, other)
		}
	}
	protocol.SortTree(all)
	return all, nil
}

// Rename implements [protocol.Trees].
func (c *caller) Rename(ctx context.Context, ref protocol.Ref, in protocol.RenameInput) (protocol.Instance, error) {
	return c.alter(ctx, ref, func(key protocol.Ref, i *protocol.Instance) error {
		to := in.To
		if i.Parent != "" {
			to = i.Parent + "/" + to
		}
		now := protocol.Ref{Reference: to, Account: key.Account}
		if other, taken := c.instances[now]; taken && other.ID != i.ID {
			return protocol.Errorf(protocol.ErrConflict, "rename %s: %s is another instance of %s: rename or destroy that first", ref.Reference, to, key.Account)
		}
		for k, below := range c.instances {
			rest, ok := strings.CutPrefix(k.Reference, key.Reference+"/")
			if !ok || k.Account != key.Account {
				continue
			}
			delete(c.instances, k)
			k.Reference, below.Reference = to+"/"+rest, to+"/"+rest
			below.Parent = below.Reference[:strings.LastIndexByte(below.Reference, '/')]
			below.Root, _, _ = strings.Cut(below.Reference, "/")
			c.instances[k] = below
		}
		delete(c.instances, key)
		i.Reference = to
		return nil
	})
}

// Bang implements [protocol.Trees].
func (c *caller) Bang(ctx context.Context, ref protocol.Ref, _ protocol.BangInput) (protocol.Instance, error) {
	return c.alter(ctx, ref, func(_ protocol.Ref, i *protocol.Instance) error {
		i.Timestamp = i.Timestamp.Add(time.Microsecond)
		return nil
	})
}

// Move implements [protocol.Trees]: there is no other computer.
func (c *caller) Move(ctx context.Context, ref protocol.Ref, in protocol.MoveInput) (protocol.Instance, error) {
	return c.alter(ctx, ref, func(_ protocol.Ref, i *protocol.Instance) error {
		switch {
		case !in.DiscardData:
		case i.State != protocol.StateStopped:
			return protocol.Errorf(protocol.ErrConflict, "move %s: it is %s: stop it first (slapd stop %s --wait)", ref.Reference, i.State, ref.Reference)
		}
		return protocol.Errorf(protocol.ErrExhausted, "no partition for %s: 1 computer: 1 not apart enough", ref.Reference)
	})
}

// Destroy implements [protocol.Trees].
func (c *caller) Destroy(ctx context.Context, ref protocol.Ref, keep string) (protocol.Instance, error) {
	delay, err := protocol.ParseKeep(keep)
	if err != nil {
		return protocol.Instance{}, err
	}
	return c.alter(ctx, ref, func(_ protocol.Ref, i *protocol.Instance) error {
		if delay == nil || *delay == 0 {
			i.RequestedState, i.KeptUntil = protocol.RequestDestroyed, nil
			return nil
		}
		i.RequestedState, i.KeptUntil = protocol.RequestStopped, new(c.Now.Add(*delay))
		return nil
	})
}

// alter changes an instance.
func (c *caller) alter(ctx context.Context, ref protocol.Ref, change func(protocol.Ref, *protocol.Instance) error) (protocol.Instance, error) {
	key, err := c.key(ref)
	if err != nil {
		return protocol.Instance{}, err
	}
	if _, err := c.Instance(ctx, ref); err != nil {
		return protocol.Instance{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.instances[key]
	if err := change(key, &i); err != nil {
		return protocol.Instance{}, err
	}
	c.put(protocol.Ref{Reference: i.Reference, Account: key.Account}, i)
	return i, nil
}
