package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/protocol"
)

// The CA is replaced in three steps. The leader makes the next key and has most
// of the voters keep it; then the ledger names its certificate, from which
// moment it is the mesh's; then every peer asks for a certificate of it. If
// the leader fails before the second step nothing has happened, after it any
// voter goes on, and one that was away asks the others for the key.

// rotatePath is where the leader is asked to replace the CA, keyPath where it
// has a voter keep the next key, and heldPath where a voter asks another for
// the present one.
const (
	rotatePath = "/v1/rotate-ca"
	keyPath    = "/v1/ca-key"
	heldPath   = "/v1/ca-key/held"
)

const keyTimeout = 5 * time.Second

// errNoKey means that a voter was away while the CA was replaced.
var errNoKey = errors.New("this peer does not hold the key of the mesh's CA")

type rotation struct {
	Until time.Time `json:"until"`
}

type rotated struct {
	Fingerprint string `json:"fingerprint"`
	Holders     int    `json:"holders"`
}

// heldKey is a CA's key on its way between voters.
type heldKey struct {
	CA []byte `json:"ca"`
}

// currentCA returns the CA that the ledger names, if this peer holds its key.
func (d *Daemon) currentCA() (*mesh.CA, error) {
	m, _ := d.books.View().Mesh()
	for _, load := range []func(string, *mesh.Identity) (*mesh.CA, error){mesh.LoadCA, mesh.LoadNextCA} {
		ca, err := load(d.folder.path, d.identity)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case len(m.CAs) == 0 || bytes.Equal(ca.CertificateDER(), m.CAs[len(m.CAs)-1].Certificate):
			return ca, nil
		}
	}
	return nil, errNoKey
}

// rotate replaces the CA, on the leader, for an operator's peer.
func (d *Daemon) rotate(ctx context.Context, asked mesh.PeerID, in rotation) (rotated, error) {
	if p, _ := d.books.View().Peer(ledger.PeerID(asked)); !p.Operator {
		return rotated{}, &ledger.Refusal{Code: ledger.ErrForbidden, Detail: "rotate CA: only an operator does: ask on a voter of an operator's account"}
	}
	former, err := d.currentCA()
	if err != nil {
		return rotated{}, fmt.Errorf("rotate CA: %w", err)
	}
	next, err := former.Next(rand.Reader, d.cfg.Clock())
	if err != nil {
		return rotated{}, err
	}
	holders, err := d.spread(ctx, next)
	if err != nil {
		return rotated{}, err
	}
	index, err := d.books.Lead(ctx, ledger.AsPeer(ledger.PeerID(asked)), ledger.RotateCA{
		Former: former.CertificateDER(), Certificate: next.CertificateDER(), Until: in.Until,
	})
	if err != nil {
		return rotated{}, err
	}
	if err := d.books.WaitIndex(ctx, index); err != nil {
		return rotated{}, err
	}
	d.log.Warn("the mesh has another CA", "asked_by", asked, "former_until", in.Until)
	return rotated{mesh.Fingerprint(next.Digest()).String(), holders}, nil
}

// spread has the voters keep the next key, and counts them. Most of them must:
// a key that is lost with one peer would be the end of the mesh.
func (d *Daemon) spread(ctx context.Context, next *mesh.CA) (holders int, err error) {
	s := d.books.Seat()
	key, err := next.Marshal()
	if err != nil || s == nil {
		return 0, errors.Join(err, d.elsewhere(ctx))
	}
	if err := next.SaveNext(d.folder.path, d.identity); err != nil {
		return 0, err
	}
	voters, keep := 0, 0
	for _, server := range s.node.Servers() {
		peer := mesh.PeerID(server.Peer)
		err := error(nil)
		if peer != d.mesh.Self() {
			err = d.callFor(ctx, keyTimeout, peer, keyPath, heldKey{key}, &struct{}{})
		}
		if err != nil {
			d.log.Warn("a voter does not take the next key", "peer", peer, "err", err)
		}
		if server.Voter {
			voters++
			if err == nil {
				keep++
			}
		}
	}
	if 2*keep <= voters {
		return keep, &ledger.Refusal{Code: ledger.ErrUnavailable, Detail: fmt.Sprintf("rotate CA: %d of %d voters take the new key, and most must: nothing has changed; try again when they are back", keep, voters)}
	}
	return keep, nil
}

// callFor is a call with a bound of its own.
func (d *Daemon) callFor(ctx context.Context, limit time.Duration, peer mesh.PeerID, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return d.rpc.call(ctx, peer, path, in, out)
}

// serveRotation lets voters replace the CA together.
func (d *Daemon) serveRotation() {
	handle(d.rpc, rotatePath, func(ctx context.Context, caller mesh.PeerID, in rotation) (rotated, error) {
		if !d.books.Leads() {
			return rotated{}, d.elsewhere(ctx)
		}
		return d.rotate(ctx, caller, in)
	})
	handle(d.rpc, keyPath, func(_ context.Context, caller mesh.PeerID, in heldKey) (struct{}, error) {
		if err := d.mayVote(caller); err != nil {
			return struct{}{}, &ledger.Refusal{Code: ledger.ErrForbidden, Detail: "CA key: " + err.Error()}
		}
		ca, err := d.ofThisMesh(in.CA)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, ca.SaveNext(d.folder.path, d.identity)
	})
	handle(d.rpc, heldPath, func(_ context.Context, caller mesh.PeerID, _ struct{}) (heldKey, error) {
		p, _ := d.books.View().Peer(ledger.PeerID(caller))
		if p.Revoked || p.Role != ledger.RoleVoter || p.Seat == 0 {
			return heldKey{}, &ledger.Refusal{Code: ledger.ErrForbidden, Detail: fmt.Sprintf("CA key: %s has no seat", caller.Short())}
		}
		ca, err := d.currentCA()
		if err != nil {
			return heldKey{}, &ledger.Refusal{Code: ledger.ErrUnavailable, Detail: err.Error()}
		}
		key, err := ca.Marshal()
		return heldKey{key}, err
	})
}

// ofThisMesh reads a CA's key that another peer sent.
func (d *Daemon) ofThisMesh(data []byte) (*mesh.CA, error) {
	ca, err := mesh.ParseCA(data)
	switch {
	case err != nil:
		return nil, &ledger.Refusal{Code: ledger.ErrInvalid, Detail: "CA key: " + err.Error()}
	case !d.mesh.IsOf(ca):
		return nil, &ledger.Refusal{Code: ledger.ErrForbidden, Detail: "CA key: it is another mesh's"}
	}
	return ca, nil
}

// holdKey has this voter hold the key of the CA that the ledger names, and no
// other one.
func (d *Daemon) holdKey(ctx context.Context, seat *seat) error {
	ca, err := d.currentCA()
	for _, server := range seat.node.Servers() {
		if !errors.Is(err, errNoKey) {
			break
		}
		if peer := mesh.PeerID(server.Peer); peer != d.mesh.Self() {
			var held heldKey
			if d.callFor(ctx, keyTimeout, peer, heldPath, struct{}{}, &held) == nil {
				ca, err = d.ofThisMesh(held.CA)
			}
		}
	}
	if err != nil {
		return err
	}
	return errors.Join(ca.Save(d.folder.path, d.identity), mesh.RemoveNextCA(d.folder.path))
}

// RotateCA implements [protocol.Groups].
func (s *service) RotateCA(ctx context.Context, in protocol.RotationInput) (protocol.Rotation, error) {
	if err := s.operator(s.books.View(), "rotate CA"); err != nil {
		return protocol.Rotation{}, err
	}
	if in.Grace == "" {
		in.Grace = "7d"
	}
	grace, err := parseTTL(in.Grace)
	if err != nil {
		return protocol.Rotation{}, err
	}
	until := s.cfg.Clock().Add(grace)
	var out rotated
	err = s.atLeader(ctx, rotatePath, rotation{until}, &out, func(ctx context.Context) error {
		var err error
		out, err = s.rotate(ctx, s.mesh.Self(), rotation{until})
		return err
	})
	return protocol.Rotation{Fingerprint: out.Fingerprint, Until: until, Holders: out.Holders}, wireError(err)
}
