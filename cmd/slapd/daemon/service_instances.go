package daemon

import (
	"context"
	"encoding/json"
	"iter"
	"maps"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/placement"
	"github.com/slapmesh/slapmesh/protocol"
)

// Request implements [protocol.Instances].
func (s *service) Request(ctx context.Context, in protocol.RequestInput) (protocol.Instance, error) {
	c, _, err := s.request(ctx, in, s.resolve)
	if err != nil {
		return protocol.Instance{}, err
	}
	v, err := s.propose(ctx, c)
	if err != nil {
		return protocol.Instance{}, err
	}
	return s.found(v, c)
}

// A finder finds the release that a request names.
type finder func(ctx context.Context, v *ledger.State, account ledger.AccountName, named string, was ledger.Instance, exists bool) (resolved, error)

// request returns the command that in means, and the release it names.
func (s *service) request(ctx context.Context, in protocol.RequestInput, find finder) (ledger.Request, resolved, error) {
	v := s.books.View()
	t, err := s.target(v, in)
	if err != nil {
		return ledger.Request{}, resolved{}, err
	}
	found, err := find(ctx, v, t.account, in.Release, t.was, t.exists)
	if err != nil {
		return ledger.Request{}, found, err
	}
	if err := s.check(ctx, found, in, t.was, t.exists); err != nil {
		return ledger.Request{}, found, err
	}
	keep, err := protocol.ParseKeep(in.Keep)
	if err != nil {
		return ledger.Request{}, found, err
	}
	shared := t.exists && t.was.Shared // fixed
	if in.Shared != nil {
		shared = *in.Shared
	}
	most, err := credits(in.MaxPrice)
	if err != nil {
		return ledger.Request{}, found, err
	}
	return ledger.Request{
		Account:           t.account,
		Reference:         t.reference,
		Parent:            t.parent,
		Scope:             ledger.Scope(in.Scope),
		Keep:              keep,
		Release:           found.digest,
		Pinned:            found.pinned,
		Type:              in.Type,
		Parameters:        in.Parameters,
		ReplaceParameters: in.ReplaceParameters,
		Filter:            in.Filter,
		ReplaceFilter:     in.Filter != nil,
		Where:             in.Where,
		Policy:            placement.Policy(in.Policy),
		Needs:             ledgerNeeds(in.Needs),
		Affinity:          ledgerAffinity(in),
		MaxPrice:          most,
		ReplaceNeeds:      in.ReplaceNeeds,
		Shared:            shared,
		State:             ledger.InstanceState(in.State),
		Avoid:             s.silent(),
	}, found, nil
}

func notFound(reference string) error {
	return protocol.Errorf(protocol.ErrNotFound, "instance %s: not known: see slapd list", reference)
}

// check holds the parameters of a request against the release's schema. Those
// that an instance has already are part of what is checked.
func (s *service) check(ctx context.Context, found resolved, in protocol.RequestInput, was ledger.Instance, exists bool) error {
	if len(in.Parameters) == 0 && exists && !found.pinned && !in.ReplaceParameters {
		return nil // nothing new
	}
	release, err := s.loaded(ctx, found.digest)
	if err != nil {
		return err
	}
	all := map[string]json.RawMessage{}
	if exists && !in.ReplaceParameters {
		maps.Copy(all, was.Parameters)
	}
	maps.Copy(all, in.Parameters) // a null means the default
	schema := release.Parameters
	if shared := in.Shared; shared != nil && *shared || shared == nil && was.Shared {
		if schema = release.Shared; !release.Serves {
			return protocol.Errorf(protocol.ErrInvalid, "request %s: release %s serves no shared instances", in.Reference, release.Name)
		}
	}
	if _, err := schema.CheckParameters(all); err != nil {
		return protocol.Errorf(protocol.ErrInvalid, "request %s: %v", in.Reference, err)
	}
	return nil
}

// Instances implements [protocol.Instances].
func (s *service) Instances(_ context.Context, q protocol.InstanceQuery) ([]protocol.Instance, error) {
	v := s.books.View()
	found, err := s.selected(v, q)
	if err != nil {
		return nil, err
	}
	out := []protocol.Instance{}
	for i := range found {
		if !i.Settled() {
			out = append(out, s.shown(v, i))
		}
	}
	protocol.SortTree(out)
	return out, nil
}

// selected iterates over the instances that q names.
func (s *service) selected(v *ledger.State, q protocol.InstanceQuery) (iter.Seq[ledger.Instance], error) {
	if q.All {
		if err := s.operator(v, "all instances"); err != nil {
			return nil, err
		}
		return func(yield func(ledger.Instance) bool) {
			for a := range v.Accounts() {
				for i := range v.Instances(a.Name) {
					if !yield(i) {
						return
					}
				}
			}
		}, nil
	}
	account, err := s.account(v, q.Account, ledger.RightRead)
	if err != nil {
		return nil, err
	}
	if q.Reference != "" {
		return func(yield func(ledger.Instance) bool) {
			if i, ok := v.InstanceByReference(account, ledger.Reference(q.Reference)); ok {
				yield(i)
			}
		}, nil
	}
	return v.Instances(account), nil
}

// shown is an instance as the caller may see it: passwords are in parameters
// and connection parameters.
func (s *service) shown(v *ledger.State, i ledger.Instance) protocol.Instance {
	if !s.may(v, i.Account, ledger.RightInstances) {
		i = i.WithoutSecrets()
	}
	return wireInstance(v, i)
}

// instance finds one instance of the caller's, also one that was destroyed
// lately.
func (s *service) instance(v *ledger.State, ref protocol.Ref, need ledger.Rights) (ledger.Instance, error) {
	if t := s.caller.ticket; t != nil {
		return s.lookedInto(v, ref, t.Look) // the only calls that get here are those that it is for
	}
	account, err := s.account(v, ref.Account, need)
	if err != nil {
		return ledger.Instance{}, err
	}
	i, ok := v.InstanceByReference(account, ledger.Reference(ref.Reference))
	if !ok {
		return i, notFound(ref.Reference)
	}
	return i, nil
}

// Instance implements [protocol.Instances].
func (s *service) Instance(ctx context.Context, ref protocol.Ref) (protocol.Instance, error) {
	v := s.books.View()
	i, err := s.instance(v, ref, ledger.RightRead)
	if err != nil {
		return protocol.Instance{}, err
	}
	out := s.shown(v, i)
	out.Events = wireEvents(v, i)
	if r, err := s.loaded(ctx, i.Release); err == nil && !i.Shared {
		out.Reaches = reachOf(r)
	}
	return out, nil
}

// SetState implements [protocol.Instances].
func (s *service) SetState(ctx context.Context, ref protocol.Ref, state protocol.RequestedState) (protocol.Instance, error) {
	return s.setState(ctx, ref, ledger.SetState{State: ledger.InstanceState(state)})
}

func (s *service) setState(ctx context.Context, ref protocol.Ref, c ledger.SetState) (protocol.Instance, error) {
	account, err := s.account(s.books.View(), ref.Account, ledger.RightInstances)
	if err != nil {
		return protocol.Instance{}, err
	}
	c.Account, c.Reference = account, ledger.Reference(ref.Reference)
	v, err := s.propose(ctx, c)
	if err != nil {
		return protocol.Instance{}, err
	}
	i, ok := v.InstanceByReference(account, c.Reference)
	if !ok {
		return protocol.Instance{}, notFound(ref.Reference)
	}
	return s.shown(v, i), nil
}

// Watch implements [protocol.Instances].
func (s *service) Watch(ctx context.Context, q protocol.InstanceQuery) iter.Seq2[protocol.Instance, error] {
	return func(yield func(protocol.Instance, error) bool) {
		if err := s.watch(ctx, q, yield); err != nil {
			yield(protocol.Instance{}, err)
		}
	}
}

// watch yields what matches q now and after each change of the ledger that
// concerns the account, for as long as yield wants more.
func (s *service) watch(ctx context.Context, q protocol.InstanceQuery, yield func(protocol.Instance, error) bool) error {
	v := s.books.View()
	if q.Reference != "" {
		if _, err := s.instance(v, protocol.Ref{Reference: q.Reference, Account: q.Account}, ledger.RightRead); err != nil {
			return err
		}
	}
	var topics []ledger.Topic
	if !q.All {
		account, err := s.account(v, q.Account, ledger.RightRead)
		if err != nil {
			return err
		}
		topics = append(topics, ledger.TopicAccount(account))
	}
	changed, stop := s.books.Subscribe(topics...)
	defer stop()
	told := map[ledger.InstanceID]ledger.Instance{}
	for {
		v = s.books.View()
		found, err := s.selected(v, q)
		if err != nil {
			return err
		}
		for i := range found {
			was, known := told[i.ID]
			if known && was.Changed.Equal(i.Changed) && was.State == i.State && was.Reason == i.Reason || !known && i.Settled() && q.Reference == "" {
				continue
			}
			told[i.ID] = i
			if !yield(s.shown(v, i), nil) {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.stopping:
			return protocol.Errorf(protocol.ErrUnavailable, "slapd is stopping: ask again, or ask another peer")
		case <-changed:
		}
	}
}
