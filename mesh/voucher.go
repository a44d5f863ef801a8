package mesh

import (
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// A voucher is the CA's word on a peer, short enough to travel in its
// descriptor: that it is a peer of the mesh, until when, and whether it may
// keep the ledger. Without it a member could invent peers, which sign their
// own descriptors, and a newcomer that has read nothing of the ledger yet
// could be told by anybody that he keeps it.
//
// It is 74 bytes: a version, flags, Unix seconds (big endian) and an Ed25519
// signature. A certificate carries it in an extension.
type voucher struct {
	keeper bool
	until  time.Time
}

const (
	voucherVersion = 1
	voucherHead    = 10
	voucherSize    = voucherHead + ed25519.SignatureSize
	voucherKeeper  = 1 // a flag: may keep the ledger
)

// voucherOID names the extension. The number is the one that RFC 5612 gives to
// documentation: nobody but this program reads it.
var voucherOID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 7527, 1}

var (
	errNoVoucher = errors.New("the CA does not vouch for the peer")
	errOldWord   = errors.New("the CA vouched for the peer, but no longer does")
)

// vouch signs a voucher.
func (ca *CA) vouch(peer PeerID, v voucher) []byte {
	head := make([]byte, voucherHead, voucherSize)
	head[0] = voucherVersion
	if v.keeper {
		head[1] = voucherKeeper
	}
	binary.BigEndian.PutUint64(head[2:], uint64(v.until.Unix()))
	return append(head, ed25519.Sign(ca.key, voucherMessage(ca.MeshID(), peer, head))...)
}

// parseVoucher reads a voucher for peer that ca signed.
func parseVoucher(data []byte, meshID string, peer PeerID, ca *x509.Certificate) (voucher, error) {
	key, ok := ca.PublicKey.(ed25519.PublicKey)
	switch {
	case len(data) == 0:
		return voucher{}, errNoVoucher
	case len(data) != voucherSize || data[0] != voucherVersion:
		return voucher{}, fmt.Errorf("voucher of %s: %d bytes of version %d, %d of version %d expected", peer, len(data), data[0], voucherSize, voucherVersion)
	case !ok || !ed25519.Verify(key, voucherMessage(meshID, peer, data[:voucherHead]), data[voucherHead:]):
		return voucher{}, fmt.Errorf("voucher of %s: its signature is wrong", peer)
	}
	return voucher{
		keeper: data[1]&voucherKeeper != 0,
		until:  time.Unix(int64(binary.BigEndian.Uint64(data[2:])), 0),
	}, nil
}

func voucherMessage(meshID string, peer PeerID, head []byte) []byte {
	return append([]byte("slapd voucher of mesh "+meshID+"\x00"+string(peer)+"\x00"), head...)
}

// voucherOf returns the voucher in a certificate, or nil.
func voucherOf(leaf *x509.Certificate) []byte {
	for _, e := range leaf.Extensions {
		if e.Id.Equal(voucherOID) {
			return e.Value
		}
	}
	return nil
}

func voucherExtension(v []byte) pkix.Extension { return pkix.Extension{Id: voucherOID, Value: v} }

// vouched returns what the CA says of the peer that d describes.
func (w *wall) vouched(d Descriptor) (voucher, error) {
	key := string(d.Peer) + string(d.voucher)
	w.mu.Lock()
	v, ok := w.vouchers[key]
	w.mu.Unlock()
	if !ok {
		var err error
		if v, err = w.checkVoucher(d.voucher, d.Peer); err != nil {
			return v, err
		}
		w.mu.Lock()
		if len(w.vouchers) >= maxPeers {
			clear(w.vouchers)
		}
		w.vouchers[key] = v
		w.mu.Unlock()
	}
	if w.clock().After(v.until.Add(clockTolerance)) {
		return v, errOldWord
	}
	return v, nil
}

// believes says why a descriptor is not to be believed: its peer must have
// been admitted, as the CA vouches or this peer's ledger knows. A peer whose
// own certificate is of a time before there were vouchers asks for none.
func (w *wall) believes(d Descriptor) error {
	_, err := w.vouched(d)
	if errors.Is(err, errNoVoucher) && voucherOf(w.leaf()) == nil {
		return nil
	}
	// The CA may have been replaced, which this peer is about to learn.
	if err != nil && !errors.Is(err, errOldWord) && w.known(d.Peer) {
		return nil
	}
	return err
}

// checkVoucher reads a voucher that any CA signed whose word counts: that of a
// former one does for whom the ledger knows.
func (w *wall) checkVoucher(data []byte, peer PeerID) (voucher, error) {
	v, err := parseVoucher(data, w.meshID, peer, w.own().Certificate)
	if err == nil || !w.known(peer) {
		return v, err
	}
	for _, t := range w.counting() {
		if v, err := parseVoucher(data, w.meshID, peer, t.Certificate); err == nil {
			return v, nil
		}
	}
	return v, err
}
