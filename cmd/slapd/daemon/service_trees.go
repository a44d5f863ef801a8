package daemon

import (
	"context"
	"strings"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/protocol"
)

// A target is what a request means: an instance that is there, or the place
// of a new one.
type target struct {
	account   ledger.AccountName
	parent    ledger.InstanceID // 0 for a root
	reference ledger.Reference  // within it
	was       ledger.Instance   // the one that is there, if exists
	exists    bool
}

// target finds out what a request means. What is named by a path, or by an
// id, need not name its parent.
func (s *service) target(v *ledger.State, in protocol.RequestInput) (target, error) {
	t := target{reference: ledger.Reference(in.Reference)}
	var err error
	if in.Parent != "" {
		parent, err := s.parent(v, in)
		if err != nil {
			return t, err
		}
		t.account, t.parent = parent.Account, parent.ID
		t.was, t.exists = v.Child(parent.ID, t.reference)
		return t, nil
	}
	if t.account, err = s.account(v, in.Account, ledger.RightInstances); err != nil {
		return t, err
	}
	if i, ok := v.InstanceByReference(t.account, t.reference); ok && !i.Settled() {
		t.parent, t.reference, t.was, t.exists = i.Parent, i.Reference, i, true
		return t, nil
	}
	if n := strings.LastIndexByte(in.Reference, '/'); n > 0 {
		if above, ok := v.InstanceByReference(t.account, ledger.Reference(in.Reference[:n])); ok && !above.Settled() {
			t.parent, t.reference = above.ID, ledger.Reference(in.Reference[n+1:])
		}
	}
	return t, nil
}

// parent finds the instance that is to request another. The computer on which
// it is may name it by its id.
func (s *service) parent(v *ledger.State, in protocol.RequestInput) (ledger.Instance, error) {
	account, err := s.account(v, in.Account, ledger.RightInstances)
	if err == nil {
		if i, ok := v.InstanceByReference(account, ledger.Reference(in.Parent)); ok && !i.Settled() {
			return i, nil
		}
	}
	i, ok := v.InstanceByID(in.Parent)
	if ok && s.hosts(i) && (in.Account == "" || in.Account == string(i.Account)) {
		return i, nil
	}
	if err != nil {
		return i, err
	}
	return i, notFound(in.Parent)
}

// hosts reports whether the caller is this peer, on whose computer i is.
func (s *service) hosts(i ledger.Instance) bool {
	who := s.caller.principal
	return !i.Settled() && !s.caller.remote && who.Kind == ledger.PrincipalPeer && ledger.ComputerID(who.Peer) == i.Computer
}

// found returns what a request means after it was decided. The computer of the
// parent is shown what a requester sees.
func (s *service) found(v *ledger.State, c ledger.Request) (protocol.Instance, error) {
	i, ok := v.Child(c.Parent, c.Reference)
	if c.Parent == 0 {
		i, ok = v.InstanceByReference(c.Account, c.Reference)
	}
	if !ok {
		return protocol.Instance{}, notFound(string(c.Reference))
	}
	parent, _ := v.Instance(c.Parent)
	if c.Parent != 0 && s.hosts(parent) && !s.may(v, c.Account, ledger.RightInstances) {
		return wireInstance(v, i.Outline()), nil
	}
	return s.shown(v, i), nil
}

// Tree implements [protocol.Trees].
func (s *service) Tree(_ context.Context, ref protocol.Ref) ([]protocol.Instance, error) {
	v := s.books.View()
	i, err := s.instance(v, ref, ledger.RightRead)
	if err != nil {
		return nil, err
	}
	out := []protocol.Instance{}
	for member := range v.Tree(i) {
		if !member.Settled() || member.ID == i.ID {
			out = append(out, s.shown(v, member))
		}
	}
	protocol.SortTree(out)
	return out, nil
}

// Rename implements [protocol.Trees].
func (s *service) Rename(ctx context.Context, ref protocol.Ref, in protocol.RenameInput) (protocol.Instance, error) {
	return s.alter(ctx, ref, func(i ledger.Instance) ledger.Command {
		return ledger.Rename{Instance: i.ID, To: ledger.Reference(in.To)}
	})
}

// Bang implements [protocol.Trees].
func (s *service) Bang(ctx context.Context, ref protocol.Ref, in protocol.BangInput) (protocol.Instance, error) {
	v := s.books.View()
	i, ok := v.InstanceByID(ref.Reference)
	if !ok || !s.hosts(i) {
		return s.alter(ctx, ref, func(i ledger.Instance) ledger.Command { return ledger.Bang{Instance: i.ID, Message: in.Message} })
	}
	v, err := s.propose(ctx, ledger.Bang{Instance: i.ID, Message: in.Message})
	if err != nil {
		return protocol.Instance{}, err
	}
	i, _ = v.Instance(i.ID)
	return wireInstance(v, i.Outline()), nil
}

// Move implements [protocol.Trees].
func (s *service) Move(ctx context.Context, ref protocol.Ref, in protocol.MoveInput) (protocol.Instance, error) {
	v := s.books.View()
	was, err := s.instance(v, ref, ledger.RightInstances)
	if err != nil {
		return protocol.Instance{}, err
	}
	now, err := s.move(ctx, v, was, ledger.Move{
		Instance: was.ID, Filter: in.Filter, ReplaceFilter: in.Filter != nil, Where: in.Where,
		DiscardData: in.DiscardData, Data: !in.DiscardData, Avoid: s.silent(),
	})
	if err != nil {
		return protocol.Instance{}, err
	}
	return s.shown(s.books.View(), now), nil
}

// Destroy implements [protocol.Trees].
func (s *service) Destroy(ctx context.Context, ref protocol.Ref, keep string) (protocol.Instance, error) {
	delay, err := protocol.ParseKeep(keep)
	if err != nil {
		return protocol.Instance{}, err
	}
	return s.setState(ctx, ref, ledger.SetState{State: ledger.InstanceDestroyed, Keep: delay})
}

// alter proposes a command about an instance of the caller's, and returns what
// it is then.
func (s *service) alter(ctx context.Context, ref protocol.Ref, command func(ledger.Instance) ledger.Command) (protocol.Instance, error) {
	v := s.books.View()
	was, err := s.instance(v, ref, ledger.RightInstances)
	if err != nil {
		return protocol.Instance{}, err
	}
	if v, err = s.propose(ctx, command(was)); err != nil {
		return protocol.Instance{}, err
	}
	now, ok := v.Instance(was.ID)
	if !ok {
		return protocol.Instance{}, notFound(ref.Reference)
	}
	return s.shown(v, now), nil
}

// wireTree adds what an instance has to do with others.
func wireTree(v *ledger.State, i ledger.Instance, out *protocol.Instance) {
	if i.Parent != 0 {
		out.Parent, out.Root = strings.TrimSuffix(out.Reference, "/"+string(i.Reference)), i.RootOf().String()
		if root, ok := v.Instance(i.RootOf()); ok {
			out.Root = v.Path(root)
		}
	}
	if i.Host != 0 {
		out.Host = i.Host.String()
	}
	out.Scope, out.AskedState, out.Timestamp = string(i.Scope), protocol.RequestedState(i.Asked), i.Stamp
	if i.Stamp.IsZero() {
		out.Timestamp = i.Created
	}
	if i.Retention != 0 {
		out.Keep = i.Retention.String()
	}
	if !i.Kept.IsZero() {
		out.KeptUntil = &i.Kept
	}
}
