package daemon

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
)

// Admission takes two steps: the ledger decides who is admitted, and the
// leader, which holds the CA's key, signs. Any peer passes the wish on.

// admitPath, renewPath and readmitPath are where the leader is asked to sign.
const (
	admitPath   = "/v1/admit"
	renewPath   = "/v1/renew"
	readmitPath = "/v1/readmit"
	inspectPath = "/v1/inspect"
)

// admitTimeout bounds how long a newcomer is kept waiting.
const admitTimeout = 20 * time.Second

// Admit is the mesh's question whether a newcomer may join.
func (d *Daemon) Admit(ctx context.Context, a mesh.Admission) (mesh.AdmissionReply, error) {
	ctx, cancel := context.WithTimeout(ctx, admitTimeout)
	defer cancel()
	var reply mesh.AdmissionReply
	err := d.atLeader(ctx, admitPath, a, &reply, func(ctx context.Context) error {
		var err error
		reply, err = d.admit(ctx, d.mesh.Self(), a)
		return err
	})
	if code := ledger.CodeOf(err); code != "" && code != ledger.ErrInternal {
		return reply, mesh.Refuse(strings.TrimPrefix(err.Error(), "admit "+a.Name+": ")) // it is the newcomer that is told
	}
	return reply, err
}

// admit decides and signs, on the leader, for the peer that was asked.
func (d *Daemon) admit(ctx context.Context, asked mesh.PeerID, a mesh.Admission) (mesh.AdmissionReply, error) {
	if mesh.PeerIDOf(a.PublicKey) != a.Peer {
		return mesh.AdmissionReply{}, &ledger.Refusal{Code: ledger.ErrInvalid, Detail: fmt.Sprintf("admit %s: the key is not the peer's", a.Name)}
	}
	if m, _ := d.books.View().Mesh(); a.Open && m.Ask {
		return d.applies(ctx, asked, a)
	}
	c := ledger.Admit{Open: a.Open, Peer: ledger.PeerID(a.Peer), PublicKey: a.PublicKey, Name: a.Name}
	if !a.Open {
		c.TokenDigest = a.TokenDigest[:]
	}
	index, err := d.books.Lead(ctx, ledger.AsPeer(ledger.PeerID(asked)), c)
	if err != nil {
		return mesh.AdmissionReply{}, err
	}
	if err := d.books.WaitIndex(ctx, index); err != nil {
		return mesh.AdmissionReply{}, err
	}
	v := d.books.View()
	peer, ok := v.Peer(ledger.PeerID(a.Peer))
	if !ok {
		return mesh.AdmissionReply{}, fmt.Errorf("admit %s: admitted, but not in the ledger", a.Name)
	}
	return d.admits(v, peer)
}

// applies notes, on the leader, that somebody asks to join, and signs once an
// operator has approved.
func (d *Daemon) applies(ctx context.Context, asked mesh.PeerID, a mesh.Admission) (mesh.AdmissionReply, error) {
	id := ledger.PeerID(a.Peer)
	v := d.books.View()
	_, member := v.Peer(id)
	// Who asks again each few seconds is not to fill the log.
	if known, waits := v.Applicant(id, d.cfg.Clock()); member || !waits || known.Refused != "" {
		index, err := d.books.Lead(ctx, ledger.AsPeer(ledger.PeerID(asked)), ledger.Apply{Peer: id, Name: a.Name, PublicKey: a.PublicKey, From: a.From})
		if err != nil {
			return mesh.AdmissionReply{}, err
		}
		if err := d.books.WaitIndex(ctx, index); err != nil {
			return mesh.AdmissionReply{}, err
		}
		v = d.books.View()
	}
	if peer, ok := v.Peer(id); ok {
		return d.admits(v, peer)
	}
	waiting, ok := v.Applicant(id, d.cfg.Clock())
	if !ok {
		return mesh.AdmissionReply{}, fmt.Errorf("admit %s: it asked, but the ledger does not know", a.Name)
	}
	return mesh.AdmissionReply{Waiting: &mesh.Waiting{Peer: a.Peer, Since: waiting.Asked, Until: waiting.Expires}}, nil
}

// admits signs for a peer of the ledger.
func (d *Daemon) admits(v *ledger.State, peer ledger.Peer) (mesh.AdmissionReply, error) {
	certificate, err := d.sign(peer)
	if err != nil {
		return mesh.AdmissionReply{}, err
	}
	m, _ := v.Mesh()
	return mesh.AdmissionReply{CertificateDER: certificate, Role: string(peer.Role), Account: string(peer.Account), Epoch: m.Epoch}, nil
}

// Inspect is the mesh's question what Admit would answer.
func (d *Daemon) Inspect(ctx context.Context, a mesh.Admission) (mesh.Invitation, error) {
	ctx, cancel := context.WithTimeout(ctx, admitTimeout)
	defer cancel()
	var out mesh.Invitation
	err := d.atLeader(ctx, inspectPath, a, &out, func(context.Context) error {
		var err error
		out, err = d.inspect(d.mesh.Self(), a)
		return err
	})
	if code := ledger.CodeOf(err); code != "" && code != ledger.ErrInternal {
		return out, mesh.Refuse(strings.TrimPrefix(err.Error(), "admit "+a.Name+": "))
	}
	return out, err
}

// inspect decides as admit would, and leaves it at that.
func (d *Daemon) inspect(asked mesh.PeerID, a mesh.Admission) (mesh.Invitation, error) {
	v, now := d.books.View(), d.cfg.Clock()
	if m, _ := v.Mesh(); a.Open && m.Ask {
		_, err := v.Decide(ledger.Apply{Peer: ledger.PeerID(a.Peer), Name: a.Name, PublicKey: a.PublicKey}, ledger.Context{At: now, Principal: ledger.AsPeer(ledger.PeerID(asked))})
		return mesh.Invitation{}, err // as what it is let in, an operator says
	}
	c := ledger.Admit{Open: a.Open, Peer: ledger.PeerID(a.Peer), PublicKey: a.PublicKey, Name: a.Name}
	var out mesh.Invitation
	if !a.Open {
		c.TokenDigest = a.TokenDigest[:]
		token, _ := v.TokenByDigest(c.TokenDigest)
		out.Uses, out.Expires = token.Uses, token.Expires
	}
	events, err := v.Decide(c, ledger.Context{At: now, Principal: ledger.AsPeer(ledger.PeerID(asked))})
	if err != nil {
		return mesh.Invitation{}, err
	}
	peer, _ := v.Peer(ledger.PeerID(a.Peer)) // who is a member already stays what it is
	for _, e := range events {
		if admitted, ok := e.(ledger.Admitted); ok {
			peer = admitted.Peer
		}
	}
	out.Role, out.Account = string(peer.Role), string(peer.Account)
	return out, nil
}

// Readmit is the mesh's question whether a peer that comes back with its key
// alone is a member still. The leader answers it from the ledger; nothing in
// that changes.
func (d *Daemon) Readmit(ctx context.Context, a mesh.Admission) (mesh.AdmissionReply, error) {
	ctx, cancel := context.WithTimeout(ctx, admitTimeout)
	defer cancel()
	var reply mesh.AdmissionReply
	err := d.atLeader(ctx, readmitPath, a, &reply, func(context.Context) error {
		var err error
		reply, err = d.readmit(a)
		return err
	})
	if code := ledger.CodeOf(err); code != "" && code != ledger.ErrInternal {
		return reply, mesh.Refuse(err.Error())
	}
	return reply, err
}

// readmit signs, on the leader, for a peer that showed its key at any door. A
// door that lies about who knocked gains nothing: a certificate is of no use
// without the key.
func (d *Daemon) readmit(a mesh.Admission) (mesh.AdmissionReply, error) {
	id := mesh.PeerIDOf(a.PublicKey)
	v := d.books.View()
	peer, ok := v.Peer(ledger.PeerID(id))
	switch {
	case !ok:
		return mesh.AdmissionReply{}, &ledger.Refusal{Code: ledger.ErrForbidden, Detail: fmt.Sprintf("peer %s is not of this mesh: it never was, or it left: join with a new token", id.Short())}
	case peer.Revoked:
		return mesh.AdmissionReply{}, &ledger.Refusal{Code: ledger.ErrForbidden, Detail: fmt.Sprintf("peer %s was removed from the mesh", id.Short())}
	}
	return d.admits(v, peer)
}

// A renewal asks for a fresh certificate; who asks is known from the
// connection.
type renewal struct {
	PublicKey ed25519.PublicKey `json:"public_key"`
}

type renewed struct {
	CertificateDER []byte `json:"certificate"`
}

// renew fetches a new certificate for this peer. Once the old one has
// expired no leader can be asked, and if all peers were off together there is
// none: who keeps the CA's key then signs for itself, so that voters find
// together again. Whoever was removed meanwhile is told so by the others.
func (d *Daemon) renew(ctx context.Context, key ed25519.PublicKey) ([]byte, error) {
	if d.mesh.Expired() {
		return d.sign(ledger.Peer{PublicKey: key, Role: ledger.RoleVoter}) // who holds the CA's key is one
	}
	var out renewed
	err := d.atLeader(ctx, renewPath, renewal{key}, &out, func(context.Context) error {
		var err error
		out, err = d.renewFor(d.mesh.Self(), renewal{key})
		return err
	})
	return out.CertificateDER, err
}

func (d *Daemon) renewFor(caller mesh.PeerID, in renewal) (renewed, error) {
	peer, ok := d.books.View().Peer(ledger.PeerID(caller))
	if !ok || peer.Revoked || mesh.PeerIDOf(in.PublicKey) != caller {
		return renewed{}, &ledger.Refusal{Code: ledger.ErrForbidden, Detail: fmt.Sprintf("renew: %s is not a member of this mesh", caller)}
	}
	certificate, err := d.sign(peer)
	return renewed{certificate}, err
}

// sign issues a certificate to a peer of the ledger. Only voters can.
func (d *Daemon) sign(p ledger.Peer) ([]byte, error) {
	ca, err := d.currentCA()
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return ca.Issue(mesh.IssueRequest{PublicKey: p.PublicKey, Now: d.cfg.Clock(), Keeper: p.Role == ledger.RoleVoter})
}

// atLeader runs here where this peer leads, and asks the leader for path
// otherwise. A leader that has just changed is looked for again.
func (d *Daemon) atLeader(ctx context.Context, path string, in, out any, here func(context.Context) error) error {
	for {
		err := d.atLeaderOnce(ctx, path, in, out, here)
		if _, ok := errors.AsType[*elsewhereError](err); !ok {
			return err
		}
		if err := d.books.awaitLeader(ctx); err != nil {
			return err
		}
	}
}

func (d *Daemon) atLeaderOnce(ctx context.Context, path string, in, out any, here func(context.Context) error) error {
	if d.books.Leads() {
		return here(ctx)
	}
	leader := mesh.PeerID(d.books.Consensus(ctx).Leader)
	if leader == "" || leader == d.mesh.Self() {
		return &elsewhereError{}
	}
	return d.rpc.call(ctx, leader, path, in, out)
}

// serveAdmission lets other peers ask this one, should it lead.
func (d *Daemon) serveAdmission() {
	handle(d.rpc, admitPath, func(ctx context.Context, caller mesh.PeerID, a mesh.Admission) (mesh.AdmissionReply, error) {
		if !d.books.Leads() {
			return mesh.AdmissionReply{}, d.elsewhere(ctx)
		}
		return d.admit(ctx, caller, a)
	})
	handle(d.rpc, inspectPath, func(ctx context.Context, caller mesh.PeerID, a mesh.Admission) (mesh.Invitation, error) {
		if !d.books.Leads() {
			return mesh.Invitation{}, d.elsewhere(ctx)
		}
		return d.inspect(caller, a)
	})
	handle(d.rpc, readmitPath, func(ctx context.Context, _ mesh.PeerID, a mesh.Admission) (mesh.AdmissionReply, error) {
		if !d.books.Leads() {
			return mesh.AdmissionReply{}, d.elsewhere(ctx)
		}
		return d.readmit(a)
	})
	handle(d.rpc, renewPath, func(ctx context.Context, caller mesh.PeerID, in renewal) (renewed, error) {
		if !d.books.Leads() {
			return renewed{}, d.elsewhere(ctx)
		}
		return d.renewFor(caller, in)
	})
}

func (d *Daemon) elsewhere(ctx context.Context) error {
	return &elsewhereError{mesh.PeerID(d.books.Consensus(ctx).Leader)}
}

// newToken draws a token of this mesh.
func (d *Daemon) newToken() (mesh.Token, error) {
	t := mesh.Token{CADigest: d.mesh.Digest()}
	if _, err := rand.Read(t.Secret[:]); err != nil {
		return t, fmt.Errorf("token: %w", err)
	}
	return t, nil
}

// tokenID names a token in lists. It is derived from what the ledger keeps,
// so it tells nothing that the ledger does not.
func tokenID(digest [32]byte) ledger.TokenID { return ledger.TokenID(hex.EncodeToString(digest[:5])) }
