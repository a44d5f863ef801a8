package mesh

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/slapmesh/slapmesh/mesh/frame"
	"github.com/slapmesh/slapmesh/mesh/nat"
)

const (
	// descriptorLimit is what memberlist leaves for a node's metadata.
	descriptorLimit = 512

	maxAddresses   = 8
	maxAddressSize = 128
	maxHostSize    = 32
	maxRelays      = 3
)

// A Descriptor is what a peer says of itself: where it can be reached. The
// peer signs it, so that others can pass it on.
type Descriptor struct {
	Peer      PeerID
	Name      string
	Addresses []string // HOST:PORT, the best first
	Host      string   // opaque id of the network namespace it runs in
	Seq       uint64   // of two descriptors of a peer the higher one counts
	Left      bool     // the peer says goodbye
	Relays    []PeerID // peers through which it is reached, if it hides behind a translator
	NoRelay   bool     // it carries nothing for others
	NAT       nat.Kind // what stands between it and others, as far as it knows

	voucher []byte // of the CA, for the peer
	encoded []byte
}

// descriptorBody is what is signed.
type descriptorBody struct {
	Key       []byte   `cbor:"1,keyasint"`
	Seq       uint64   `cbor:"2,keyasint"`
	Name      string   `cbor:"3,keyasint,omitempty"`
	Addresses []string `cbor:"4,keyasint,omitempty"`
	Host      string   `cbor:"5,keyasint,omitempty"`
	Left      bool     `cbor:"6,keyasint,omitempty"`
	Relays    [][]byte `cbor:"10,keyasint,omitempty"` // what the ids are the base32 of
	NoRelay   bool     `cbor:"11,keyasint,omitempty"`
	Voucher   []byte   `cbor:"30,keyasint,omitempty"`
	NAT       uint8    `cbor:"60,keyasint,omitempty"` // nat.Kind.Number
}

// descriptorEnvelope keeps the signed bytes as they were.
type descriptorEnvelope struct {
	_         struct{} `cbor:",toarray"`
	Body      []byte
	Signature []byte
}

// Encoded is the signed form, as it travels.
func (d Descriptor) Encoded() []byte { return d.encoded }

// signDescriptor completes d for the mesh. Addresses that do not fit are left
// out, the last first.
func signDescriptor(identity *Identity, meshID string, d Descriptor) (Descriptor, error) {
	d.Peer = identity.ID()
	d.Addresses = slices.Clone(d.Addresses[:min(len(d.Addresses), maxAddresses)])
	d.Relays = slices.Clone(d.Relays[:min(len(d.Relays), maxRelays)])
	var relays [][]byte
	for _, id := range d.Relays {
		raw, err := base32Lower.DecodeString(string(id))
		if err != nil {
			return d, fmt.Errorf("encode descriptor: %w", err)
		}
		relays = append(relays, raw)
	}
	for {
		body, err := frame.Encode(descriptorBody{identity.PublicKey(), d.Seq, d.Name, d.Addresses, d.Host, d.Left, relays, d.NoRelay, d.voucher, d.NAT.Number()})
		if err != nil {
			return d, fmt.Errorf("encode descriptor: %w", err)
		}
		d.encoded, err = frame.Encode(descriptorEnvelope{Body: body, Signature: identity.Sign(descriptorMessage(meshID, body))})
		if err != nil {
			return d, fmt.Errorf("encode descriptor: %w", err)
		}
		if len(d.encoded) <= descriptorLimit {
			return d, d.check()
		}
		if len(d.Addresses) == 0 {
			return d, errors.New("encode descriptor: too long even without addresses")
		}
		d.Addresses = d.Addresses[:len(d.Addresses)-1]
	}
}

// parseDescriptor reads a descriptor of a peer of the mesh, and checks that
// the peer signed it.
func parseDescriptor(encoded []byte, meshID string) (Descriptor, error) {
	if len(encoded) > descriptorLimit {
		return Descriptor{}, fmt.Errorf("read descriptor: %d bytes, at most %d are allowed", len(encoded), descriptorLimit)
	}
	var e descriptorEnvelope
	if err := frame.Decode(encoded, &e); err != nil {
		return Descriptor{}, fmt.Errorf("read descriptor: %w", err)
	}
	var b descriptorBody
	if err := frame.Decode(e.Body, &b); err != nil {
		return Descriptor{}, fmt.Errorf("read descriptor: %w", err)
	}
	if len(b.Key) != ed25519.PublicKeySize {
		return Descriptor{}, errors.New("read descriptor: no public key in it")
	}
	d := Descriptor{
		Peer: PeerIDOf(b.Key), Name: b.Name, Addresses: b.Addresses, Host: b.Host, Seq: b.Seq, Left: b.Left,
		NoRelay: b.NoRelay, NAT: nat.KindOf(b.NAT), voucher: b.Voucher, encoded: slices.Clone(encoded),
	}
	for _, raw := range b.Relays {
		d.Relays = append(d.Relays, PeerID(base32Lower.EncodeToString(raw)))
	}
	if err := d.check(); err != nil {
		return Descriptor{}, err
	}
	if !ed25519.Verify(b.Key, descriptorMessage(meshID, e.Body), e.Signature) {
		return Descriptor{}, fmt.Errorf("read descriptor of %s: its signature is wrong", d.Peer)
	}
	return d, nil
}

// check holds a descriptor to its bounds.
func (d Descriptor) check() error {
	switch {
	case !printable(d.Name, maxNameSize):
		return fmt.Errorf("descriptor of %s: name is not 0 to %d bytes of plain text", d.Peer, maxNameSize)
	case !printable(d.Host, maxHostSize):
		return fmt.Errorf("descriptor of %s: host is not 0 to %d bytes of plain text", d.Peer, maxHostSize)
	case len(d.Relays) > maxRelays:
		return fmt.Errorf("descriptor of %s: %d relays, at most %d are allowed", d.Peer, len(d.Relays), maxRelays)
	case len(d.voucher) > voucherSize:
		return fmt.Errorf("descriptor of %s: a voucher of %d bytes, at most %d are allowed", d.Peer, len(d.voucher), voucherSize)
	case len(d.Addresses) > maxAddresses:
		return fmt.Errorf("descriptor of %s: %d addresses, at most %d are allowed", d.Peer, len(d.Addresses), maxAddresses)
	}
	for _, id := range d.Relays {
		if _, err := ParsePeerID(string(id)); err != nil {
			return fmt.Errorf("descriptor of %s: relay: %w", d.Peer, err)
		}
	}
	for _, a := range d.Addresses {
		if !printable(a, maxAddressSize) {
			return fmt.Errorf("descriptor of %s: an address is not 1 to %d bytes of plain text", d.Peer, maxAddressSize)
		}
		if _, _, err := net.SplitHostPort(a); err != nil {
			return fmt.Errorf("descriptor of %s: address %q: %w", d.Peer, a, err)
		}
	}
	return nil
}

func descriptorMessage(meshID string, body []byte) []byte {
	return append([]byte("slapd descriptor 1 of mesh "+meshID+"\x00"), body...)
}
