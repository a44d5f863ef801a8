package protocoltest

import (
	"cmp"
	"context"
	"iter"
	"maps"

	"github.com/slapmesh/slapmesh/protocol"
)

// Request implements [protocol.Instances].
func (c *caller) Request(_ context.Context, in protocol.RequestInput) (protocol.Instance, error) {
	key, err := c.key(protocol.Ref{Reference: in.Reference, Account: in.Account})
	if err != nil {
		return protocol.Instance{}, err
	}
	if in.Parent != "" {
		key.Reference = in.Parent + "/" + in.Reference
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i, known := c.instances[key]
	switch country := in.Filter["country"]; {
	case country != "" && country != "FR":
		return protocol.Instance{}, protocol.Errorf(protocol.ErrExhausted,
			"no partition for %s: 1 computer: 1 wrong country (wants %s)", in.Reference, country)
	case known && in.Release != "" && in.Release != i.Release:
		return protocol.Instance{}, protocol.Errorf(protocol.ErrConflict,
			"request %s: runs %s already: destroy it first, or use another reference", in.Reference, i.Release)
	case !known:
		if i, err = c.place(key, in.Release); err == nil {
			err = c.till.charge(i, c.Now)
		}
		if err != nil {
			return protocol.Instance{}, err
		}
	}
	if in.ReplaceParameters {
		i.Parameters = nil
	}
	i.Parameters = maps.Clone(i.Filled().Parameters)
	maps.Copy(i.Parameters, in.Parameters)
	if in.Filter != nil {
		i.Filter = in.Filter
	}
	if i.Needs, err = c.resized(i, in); err != nil {
		return protocol.Instance{}, err
	}
	i.Policy = cmp.Or(in.Policy, i.Policy)
	i.Near, i.NearBy, i.Apart, i.ApartBy, i.MaxPrice = in.Near, in.NearBy, in.Apart, in.ApartBy, in.MaxPrice
	i.Shared = in.Shared != nil && *in.Shared
	i.Type = cmp.Or(in.Type, i.Type)
	i.RequestedState, i.KeptUntil = cmp.Or(in.State, i.RequestedState), nil
	if err := c.enter(key, &i, in); err != nil {
		return protocol.Instance{}, err
	}
	c.put(key, i)
	return i, nil
}

// place makes the instance that a first request gets. The caller holds mu.
func (m *Mesh) place(key protocol.Ref, release string) (protocol.Instance, error) {
	r, err := find(release)
	if err != nil {
		return protocol.Instance{}, err
	}
	n := len(m.instances)
	return protocol.Instance{
		Reference: key.Reference, Account: key.Account, ID: uint64(n + 1),
		Release: r.Name, ReleaseDigest: r.Digest, Type: r.Types[0],
		RequestedState: protocol.RequestStarted, State: protocol.StateWaiting,
		Computer: "peer1", ComputerName: "castle", Partition: partition(n), Address: address(n), Created: m.Now,
	}, nil
}

// put stores an instance and wakes who watches. The caller holds mu.
func (m *Mesh) put(key protocol.Ref, i protocol.Instance) {
	i.Changed = m.Now
	i.Generation++
	m.instances[key] = i
	m.wake()
}

func (m *Mesh) wake() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// next is what becomes of an instance when somebody looks.
func next(i protocol.Instance) protocol.Instance {
	if i.RequestedState != protocol.RequestStarted {
		i.State, i.Healthy, i.Connection, i.Ports = protocol.State(i.RequestedState), false, nil, nil
		return i
	}
	switch i.State { //nolint:exhaustive // the others stay
	case protocol.StateWaiting, protocol.StateStopped:
		i.State, i.Reason = protocol.StateBuilding, "unpack 12 of 80 packages"
	case protocol.StateBuilding:
		switch i.Release {
		case "slow":
		case "broken":
			i.State, i.Reason = protocol.StateError, "release.star:3:5: no such package: nope"
		default:
			i.State, i.Reason = protocol.StateStarting, "first promise"
		}
	case protocol.StateStarting:
		i.State, i.Reason, i.Healthy = protocol.StateStarted, "", true
		i.Ports = map[string]uint16{"mysql": 3306}
		i.Connection = map[string]string{"url": "mysql://app:secret@" + i.Address + ":3306/app", "user": "app"}
	}
	return i
}

// Instances implements [protocol.Instances].
func (c *caller) Instances(_ context.Context, q protocol.InstanceQuery) ([]protocol.Instance, error) {
	if q.All && !c.operator {
		return nil, protocol.Errorf(protocol.ErrForbidden, "only an operator lists all accounts")
	}
	key, err := c.key(protocol.Ref{Account: q.Account})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []protocol.Instance
	for k, i := range c.instances {
		if (q.All || k.Account == key.Account) && i.State != protocol.StateDestroyed {
			out = append(out, i)
		}
	}
	protocol.SortTree(out)
	return out, nil
}

// Instance implements [protocol.Instances].
func (c *caller) Instance(_ context.Context, ref protocol.Ref) (protocol.Instance, error) {
	key, err := c.key(ref)
	if err != nil {
		return protocol.Instance{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.instances[key]
	if !ok {
		return protocol.Instance{}, protocol.Errorf(protocol.ErrNotFound, "no instance %s: see \"slapd list\"", ref.Reference)
	}
	i.Events = []protocol.Event{{Index: 7, At: i.Created, Kind: "requested", Text: "requested " + i.Release + " in " + i.Partition}}
	return i, nil
}

// SetState implements [protocol.Instances].
func (c *caller) SetState(ctx context.Context, ref protocol.Ref, state protocol.RequestedState) (protocol.Instance, error) {
	if _, err := c.Instance(ctx, ref); err != nil {
		return protocol.Instance{}, err
	}
	return c.Request(ctx, protocol.RequestInput{Reference: ref.Reference, Account: ref.Account, State: state})
}

// Watch implements [protocol.Instances].
func (c *caller) Watch(ctx context.Context, q protocol.InstanceQuery) iter.Seq2[protocol.Instance, error] {
	return func(yield func(protocol.Instance, error) bool) {
		told := map[protocol.Ref]protocol.Instance{}
		for ctx.Err() == nil {
			seen, changed, err := c.look(ctx, q)
			if err != nil {
				yield(protocol.Instance{}, err)
				return
			}
			for _, i := range seen {
				key := protocol.Ref{Reference: i.Reference, Account: i.Account}
				if told[key].Generation == i.Generation {
					continue
				}
				if told[key] = i; !yield(i, nil) || (q.Reference != "" && i.State == protocol.StateDestroyed) {
					return
				}
			}
			c.advance(seen)
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
}

// look returns what matches q, and a channel that is closed when that changes.
func (c *caller) look(ctx context.Context, q protocol.InstanceQuery) ([]protocol.Instance, <-chan struct{}, error) {
	c.mu.Lock()
	changed := c.changed
	c.mu.Unlock()
	if q.Reference == "" {
		all, err := c.Instances(ctx, q)
		return all, changed, err
	}
	i, err := c.Instance(ctx, protocol.Ref{Reference: q.Reference, Account: q.Account})
	i.Events = nil
	return []protocol.Instance{i}, changed, err
}

// advance lets time pass for what was seen.
func (c *caller) advance(seen []protocol.Instance) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range seen {
		key := protocol.Ref{Reference: i.Reference, Account: i.Account}
		if now := c.instances[key]; now.Generation == i.Generation {
			if after := next(now); after.State != now.State {
				c.put(key, after)
			}
		}
	}
}
