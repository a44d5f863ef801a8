package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/remote"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/protocol"
)

// A service answers one caller. It is a [protocol.Service]: a thin layer that
// reads the ledger's view, proposes commands, and says both in the words of
// the wire.
type service struct {
	*Daemon
	caller caller
}

// A caller is who asks, as the connection says.
type caller struct {
	principal ledger.Principal
	token     *mesh.Token // the secret that was shown, to be shown again where a call is passed on
	ticket    *ticketBody // instead of all else: what the leader lets the other peer look into
	remote    bool        // another peer passed the call on; it is not passed on again
}

// credential is what is shown to the leader for the caller.
func (c caller) credential() remote.Credential {
	if c.token == nil {
		return remote.Credential{}
	}
	digest := c.token.Digest()
	return remote.Credential{TokenDigest: digest[:]}
}

var _ protocol.Service = (*service)(nil)

// who recognises the caller in a view.
func (s *service) who(v *ledger.State) (ledger.Principal, error) {
	p, err := v.Recognise(s.caller.principal, s.cfg.Clock())
	return p, wireError(err)
}

// account is the account for which the caller acts, if it may do there what is
// needed: its own, a project of it, or, for an operator, any.
func (s *service) account(v *ledger.State, named string, need ledger.Rights) (ledger.AccountName, error) {
	p, err := s.who(v)
	if err != nil {
		return "", err
	}
	account, err := v.ActFor(p, ledger.AccountName(named), need)
	return account, wireError(err)
}

// may reports whether the caller may do for an account what is needed.
func (s *service) may(v *ledger.State, account ledger.AccountName, need ledger.Rights) bool {
	_, err := s.account(v, string(account), need)
	return err == nil && account != ""
}

// propose has the mesh decide c and returns a view that contains the
// decision.
func (s *service) propose(ctx context.Context, c ledger.Command) (*ledger.State, error) {
	if s.caller.remote {
		return nil, protocol.Errorf(protocol.ErrForbidden, "%s: another peer asks for nothing here: it proposes to the leader itself", c.Kind())
	}
	index, err := s.books.Propose(ctx, s.caller.credential(), c)
	if err != nil {
		return nil, wireError(err)
	}
	if err := s.books.WaitIndex(ctx, index); err != nil {
		return nil, fmt.Errorf("%s: decided, but not seen here yet: %w", c.Kind(), err)
	}
	return s.books.View(), nil
}

// operator refuses callers that do not run the mesh.
func (s *service) operator(v *ledger.State, what string) error {
	switch p, err := s.who(v); {
	case err != nil:
		return err
	case !p.Operator:
		return protocol.Errorf(protocol.ErrForbidden, "%s: operators only; you are %s", what, p.Account)
	}
	return nil
}

// Status implements [protocol.Fleet].
func (s *service) Status(ctx context.Context) (protocol.Status, error) {
	v := s.books.View()
	p, err := s.who(v)
	if err != nil && (s.caller.token != nil || !errors.Is(err, protocol.ErrUnauthorized)) {
		return protocol.Status{}, err // a peer that was removed may still look at itself
	}
	out := s.status(ctx, v)
	out.Whoami = s.whoami(v)
	for range v.Instances(p.Account) {
		out.Instances++
	}
	return out, nil
}

// status describes this peer.
func (d *Daemon) status(ctx context.Context, v *ledger.State) protocol.Status {
	self, _ := v.Peer(ledger.PeerID(d.mesh.Self()))
	m, _ := v.Mesh()
	consensus := d.books.Consensus(ctx)
	out := protocol.Status{
		PeerID:      string(d.mesh.Self()),
		Name:        d.settings.Name,
		Account:     string(self.Account),
		Mesh:        m.Name,
		MeshID:      d.mesh.ID(),
		Epoch:       m.Epoch,
		Open:        m.Open,
		Role:        protocol.Role(consensus.Role),
		Leader:      consensus.Leader,
		Term:        consensus.Term,
		CommitIndex: consensus.CommitIndex,
		Voters:      consensus.Voters,
		Standbys:    consensus.Standbys,
		Quorum:      consensus.Quorum,
		Stale:       !consensus.Quorum,
		Listen:      d.mesh.Addr().String(),
		API:         d.apiAddress,
		Grade:       d.grade,
		Version:     d.cfg.Version,
		Started:     d.started,
	}
	for _, member := range d.mesh.Members() {
		if member.State == mesh.StateAlive {
			out.Members++
		}
	}
	out.Traffic = traffic(d.mesh.Stats())
	out.Reach = reach(d.mesh.Reach())
	out.Warnings = d.warnings(v, consensus)
	return out
}

func reach(r mesh.Reach) protocol.Reach {
	out := protocol.Reach{
		NAT: string(r.Mapping), Kind: string(r.Kind), Double: r.Double, Hidden: r.Hidden, External: []string{}, MappedBy: r.MappedBy, Relays: []string{},
		Carried: protocol.Carried{Sessions: r.Carried.Sessions, Packets: r.Carried.Packets, Bytes: r.Carried.Bytes, Dropped: r.Carried.Dropped},
	}
	for _, at := range r.External {
		out.External = append(out.External, at.String())
	}
	for _, id := range r.Relays {
		out.Relays = append(out.Relays, string(id))
	}
	if r.Mapped.IsValid() {
		out.Mapped = r.Mapped.String()
	}
	return out
}

func traffic(s mesh.Stats) protocol.Traffic {
	return protocol.Traffic{
		Connections: s.Connections,
		Sent:        s.Wire.Sent, Received: s.Wire.Received,
		GossipSent: s.Gossip.Sent, GossipReceived: s.Gossip.Received,
	}
}

// warnings says what an operator should know, one sentence each.
func (d *Daemon) warnings(v *ledger.State, c Standing) []string {
	out := []string{}
	if evidence, err := d.journal.Evidence(); err != nil || len(evidence) > 0 {
		out = append(out, "history contradicts itself, or is damaged: see slapd ledger verify")
	}
	if !c.Quorum {
		out = append(out, "No majority of voters answers: nothing new can be decided. What runs goes on running; status, list, show and logs of what runs here work from what this peer knows.")
	}
	if m, ok := v.Mesh(); ok && len(c.Voters) == 1 && c.Quorum {
		peers := 0
		for p := range v.Peers() {
			if !p.Revoked {
				peers++
			}
		}
		switch {
		case peers > 2 && m.Open:
			out = append(out, "One peer alone votes: if it is lost, the ledger is. Make others voters: slapd members role PEER voter.")
		case peers <= 2:
			out = append(out, "One peer alone votes: if it is lost, the ledger is. With three peers any one may fail.")
		}
	}
	asking := 0
	for a := range v.Applicants() { // only operators' copies have them
		if _, waits := v.Applicant(a.Peer, d.cfg.Clock()); waits && a.Refused == "" {
			asking++
		}
	}
	if asking > 0 {
		out = append(out, fmt.Sprintf("Computers that ask to join: %d. See slapd members pending.", asking))
	}
	if d.gradeReason != "" {
		out = append(out, d.gradeReason)
	}
	return out
}

// Members implements [protocol.Fleet].
func (s *service) Members(context.Context) ([]protocol.Member, error) {
	v := s.books.View()
	if _, err := s.who(v); err != nil {
		return nil, err
	}
	return s.members(v), nil
}

func (d *Daemon) members(v *ledger.State) []protocol.Member {
	known := d.mesh.Members()
	out := make([]protocol.Member, 0, len(known))
	_, founded := v.Mesh()
	for _, m := range known {
		// Gossip may still tell of one who left; the ledger says who is a member.
		_, member := v.Peer(ledger.PeerID(m.ID))
		if member || !founded || m.State == mesh.StateAlive {
			out = append(out, wireMember(v, m))
		}
	}
	sortMembers(out)
	return out
}

func wireMember(v *ledger.State, m mesh.Member) protocol.Member {
	peer, _ := v.Peer(ledger.PeerID(m.ID))
	computer, _ := v.Computer(ledger.ComputerID(m.ID))
	out := protocol.Member{
		PeerID:  string(m.ID),
		Name:    m.Name,
		Address: m.Address,
		Account: string(peer.Account),
		Role:    protocol.Role(peer.Role),
		State:   protocol.MemberState(m.State),
		Path:    protocol.Path(m.Path),
		Labels:  computer.Labels,
		NAT:     string(m.NAT),
		Revoked: peer.Revoked,
		Since:   m.Since,
	}
	if out.Address == "" && len(m.Addresses) > 0 {
		out.Address = m.Addresses[0]
	}
	return out
}

// member finds a peer by id, by the beginning of it, or by name.
func (s *service) member(v *ledger.State, named string) (protocol.Member, error) {
	var found []protocol.Member
	for _, m := range s.members(v) {
		switch {
		case m.PeerID == named:
			return m, nil
		case m.Name == named || len(named) >= 4 && len(named) < len(m.PeerID) && m.PeerID[:len(named)] == named:
			found = append(found, m)
		}
	}
	switch len(found) {
	case 0:
		return protocol.Member{}, protocol.Errorf(protocol.ErrNotFound, "peer %s: no member has this id or name: see slapd members", named)
	case 1:
		return found[0], nil
	}
	return protocol.Member{}, protocol.Errorf(protocol.ErrConflict, "peer %s: %d members are called so: give the id", named, len(found))
}

// SetRole implements [protocol.Fleet].
func (s *service) SetRole(ctx context.Context, peer string, role protocol.Role) (protocol.Member, error) {
	m, err := s.member(s.books.View(), peer)
	if err != nil {
		return m, err
	}
	v, err := s.propose(ctx, ledger.SetRole{Peer: ledger.PeerID(m.PeerID), Role: ledger.Role(role)})
	if err != nil {
		return m, err
	}
	return s.member(v, m.PeerID)
}

// RemoveMember implements [protocol.Fleet].
func (s *service) RemoveMember(ctx context.Context, peer string) error {
	m, err := s.member(s.books.View(), peer)
	if err != nil {
		return err
	}
	_, err = s.propose(ctx, ledger.RemovePeer{Peer: ledger.PeerID(m.PeerID)})
	return err
}

// Computers implements [protocol.Fleet].
func (s *service) Computers(context.Context) ([]protocol.Computer, error) {
	v := s.books.View()
	if _, err := s.who(v); err != nil {
		return nil, err
	}
	out := []protocol.Computer{}
	for c := range v.Computers() {
		out = append(out, wireComputer(c))
	}
	return out, nil
}

// Leave implements [protocol.Fleet].
func (s *service) Leave(ctx context.Context, in protocol.LeaveInput) error {
	v := s.books.View()
	self := ledger.PeerID(s.mesh.Self())
	if s.caller.principal.Peer != self || s.caller.remote {
		if err := s.operator(v, "leave"); err != nil {
			return err
		}
	}
	return s.leave(ctx, in.Force)
}

// joinAddress is where another computer finds this peer, as far as it knows.
func (d *Daemon) joinAddress() string {
	for _, m := range d.mesh.Members() {
		if m.ID == d.mesh.Self() && len(m.Addresses) > 0 {
			return m.Addresses[0]
		}
	}
	return d.mesh.Addr().String()
}

func sortMembers(all []protocol.Member) {
	slices.SortFunc(all, func(a, b protocol.Member) int { return cmp.Compare(a.PeerID, b.PeerID) })
}
