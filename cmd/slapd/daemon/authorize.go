package daemon

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/tunnel"
	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/rest"
)

// Who may do what is the ledger's business; here it is asked, once for each
// door: streams of other peers, calls on the control socket, calls with a
// token, and calls that another peer passes on.

// authorize decides which peer may open which kind of stream. Raft is for
// peers that may vote.
func (d *Daemon) authorize(peer mesh.PeerID, kind mesh.Kind) error {
	switch {
	case kind == mesh.KindRaft:
		return d.mayVote(peer)
	case d.revoked(peer):
		return fmt.Errorf("peer %s was removed from the mesh", peer.Short())
	}
	return nil
}

// revoked tells who was removed from the mesh.
func (d *Daemon) revoked(peer mesh.PeerID) bool {
	p, _ := d.books.View().Peer(ledger.PeerID(peer))
	return p.Revoked
}

// known tells who is a member, as far as this peer's ledger knows.
func (d *Daemon) known(peer mesh.PeerID) bool {
	p, ok := d.books.View().Peer(ledger.PeerID(peer))
	return ok && !p.Revoked
}

// authorizeTunnel decides whether a peer may reach an address of this
// computer: as the ledger says of the peer, or by a ticket.
func (d *Daemon) authorizeTunnel(peer mesh.PeerID, want tunnel.Want) error {
	v, self := d.books.View(), ledger.ComputerID(d.mesh.Self())
	if len(want.Ticket) == 0 {
		return mayReach(v, self, peer, want)
	}
	if _, err := published(v, self, want); err != nil {
		return err
	}
	return checkTicket(v, d.mesh.ID(), want, peer, d.cfg.Clock())
}

// published returns the instance of the computer that publishes the address.
func published(v *ledger.State, computer ledger.ComputerID, want tunnel.Want) (ledger.Instance, error) {
	i, ok := v.InstanceAt(want.Address.Addr())
	if !ok || i.Computer != computer || !publishes(i, want.Address.Port(), want.UDP) {
		return i, errors.New("no instance of this computer publishes the address")
	}
	return i, nil
}

// mayReach refuses all but the address of an instance of the computer, on a
// port that it published, for peers of the account whose it is, of those who
// may do more than look in that project, of those who have a shared instance
// inside, for operators, and for computers that have an instance of the same
// tree or project, or one that names the address in its parameters.
func mayReach(v *ledger.State, computer ledger.ComputerID, peer mesh.PeerID, want tunnel.Want) error {
	i, err := published(v, computer, want)
	if err != nil {
		return err
	}
	p, ok := v.Peer(ledger.PeerID(peer))
	if !ok || p.Revoked {
		return fmt.Errorf("peer %s is not a member", peer.Short())
	}
	if p.Account == i.Account || p.Operator || uses(v, p.Account, i.Account) || sharesIn(v, i, p.Account) ||
		near(v, ledger.ComputerID(peer), i) || reachesFrom(v, ledger.ComputerID(peer), i) {
		return nil
	}
	return fmt.Errorf("peer %s is not of account %s, and has no instance of its tree or project", peer.Short(), i.Account)
}

// near reports whether a computer has an instance that may reach i: of its
// tree or project, or of that of a shared instance inside it.
func near(v *ledger.State, computer ledger.ComputerID, i ledger.Instance) bool {
	if v.Near(computer, i) {
		return true
	}
	for s := range v.SharedOn(i.ID) {
		if s.Requested == ledger.InstanceStarted && v.Near(computer, s) {
			return true
		}
	}
	return false
}

// sharesIn reports whether an account, or a project in which it may do more
// than look, has a shared instance inside i that is to be started.
func sharesIn(v *ledger.State, i ledger.Instance, account ledger.AccountName) bool {
	for s := range v.SharedOn(i.ID) {
		if s.Requested == ledger.InstanceStarted && (s.Account == account || uses(v, account, s.Account)) {
			return true
		}
	}
	return false
}

// uses reports whether a user may do more than look in a project.
func uses(v *ledger.State, user, project ledger.AccountName) bool {
	a, _ := v.Account(user)
	m, ok := v.Member(project, user)
	return ok && !a.Disabled && m.Role.Rights().Has(ledger.RightInstances)
}

func publishes(i ledger.Instance, port uint16, udp bool) bool {
	for name, p := range i.Ports {
		if p == port && slices.Contains(i.UDP, name) == udp {
			return true
		}
	}
	return false
}

// controlDoor lets in whoever runs slapd, and root. They act for the peer.
func (d *Daemon) controlDoor() rest.Door {
	return rest.Door{AnyHost: true, Authenticate: func(r *http.Request) (protocol.Service, error) {
		uid, ok := rest.PeerUID(r)
		if !ok && runtime.GOOS == "linux" && d.cfg.Control == nil {
			return nil, protocol.Errorf(protocol.ErrForbidden, "control socket: the system does not say who calls")
		}
		// Elsewhere the socket's mode alone keeps others out.
		if ok && uid != 0 && int(uid) != os.Getuid() {
			return nil, protocol.Errorf(protocol.ErrForbidden, "control socket: slapd runs as uid %d, you are %d: use the local API with a token", os.Getuid(), uid)
		}
		return &service{d, caller{principal: ledger.AsPeer(ledger.PeerID(d.mesh.Self()))}}, nil
	}}
}

// fresh is a door at which callers wait while this peer, which has just begun,
// does not know yet what was decided before; but for one call, that needs not.
func (d *Daemon) fresh(door rest.Door, but string) rest.Door {
	recognise := door.Authenticate
	door.Authenticate = func(r *http.Request) (protocol.Service, error) {
		if r.URL.Path != but {
			d.books.awaitFresh(r.Context())
		}
		return recognise(r)
	}
	return door
}

// apiDoor lets in whoever has a token of the role user.
func (d *Daemon) apiDoor() rest.Door {
	return rest.Door{Authenticate: func(r *http.Request) (protocol.Service, error) {
		text, err := rest.BearerToken(r)
		if err != nil {
			return nil, err
		}
		c, err := d.bearer(text)
		if err != nil {
			return nil, err
		}
		return &service{d, c}, nil
	}}
}

// bearer recognises who shows a token.
func (d *Daemon) bearer(text string) (caller, error) {
	token, err := mesh.ParseToken(text)
	if err != nil {
		return caller{}, protocol.Errorf(protocol.ErrUnauthorized, "token: %v", err)
	}
	digest := token.Digest()
	known, ok := d.books.View().TokenByDigest(digest[:])
	now, ever := d.mesh.Accepts(token.CADigest)
	if ok && ever && !now {
		return caller{}, protocol.Errorf(protocol.ErrUnauthorized, "token: the key of the mesh was replaced, and tokens from before count no longer: make a new one with \"slapd token create --role user\"")
	}
	if !ok || !now {
		return caller{}, protocol.Errorf(protocol.ErrUnauthorized, "token: not known to this peer: make one with \"slapd token create --role user\"")
	}
	return caller{principal: ledger.AsToken(known.ID), token: &token}, nil
}

// passedOn are the calls that one peer passes on to another: looking into an
// instance, where it runs, and reading history, where it is kept. All else a
// peer does itself: what it proposes is decided by who the leader sees at the
// other end of the connection, so a peer that did it for another one would lend
// it its own rights.
var passedOn = []string{
	"GET /v1/instances/{reference}/logs",
	"POST /v1/instances/{reference}/exec",
	"GET /v1/history",
	"GET /v1/history/entries/{entry}",
	"GET /v1/invoice",
}

// meshDoor lets in other peers that pass a call on: for themselves, or for
// the bearer of a token.
func (d *Daemon) meshDoor() rest.Door {
	return rest.Door{AnyHost: true, Authenticate: func(r *http.Request) (protocol.Service, error) {
		peer := callerOf(r)
		if peer == "" {
			return nil, protocol.Errorf(protocol.ErrUnauthorized, "who calls is not known")
		}
		c := caller{principal: ledger.AsPeer(ledger.PeerID(peer))}
		shown := r.Header.Get("Authorization")
		if ticket, ok := strings.CutPrefix(shown, ticketScheme); ok {
			c, err := d.ticketed(peer, ticket)
			c.remote = true
			return &service{d, c}, err
		}
		if shown != "" {
			text, err := rest.BearerToken(r)
			if err != nil {
				return nil, err
			}
			if c, err = d.bearer(text); err != nil {
				return nil, err
			}
		}
		c.remote = true
		return &service{d, c}, nil
	}}
}
