package mesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quic-go/quic-go"
)

// A peer whose certificate expired while it was off is refused by all others,
// so it cannot ask them for a new one. It comes to the door instead, as who
// joins does, and shows its key: the ledger knows whose that is.

const (
	// readmitTimeout bounds what one door may take: its peer may have to wait
	// for a leader.
	readmitTimeout = 10 * time.Second
	// readmitDoors is how many doors are tried at a time, readmitMax how many
	// in one attempt.
	readmitDoors = 4
	readmitMax   = 64
	// discoverTimeout is how long the local network is listened to.
	discoverTimeout = 1500 * time.Millisecond
	// renewalUrgent is the longest wait between two attempts of a peer whose
	// certificate expired.
	renewalUrgent = 30 * time.Second
)

// errWasRemoved means that a door says that this peer was removed.
var errWasRemoved = errors.New("this computer was removed from the mesh")

// Expired reports whether the certificate that this peer shows has expired,
// so that no other peer lets it in.
func (m *Mesh) Expired() bool { return m.config.Clock().After(m.wall.leaf().NotAfter) }

// readmit asks the doors of known peers, wherever one answers, to renew the
// certificate for the key alone. It returns the first answer that is good.
func (m *Mesh) readmit(ctx context.Context) (*JoinResult, error) {
	return m.readmitAny(ctx, append(m.discover(ctx), m.doors()...))
}

// discover looks on the local network.
func (m *Mesh) discover(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, discoverTimeout)
	defer cancel()
	found := m.config.Discover(ctx)
	return found[:min(len(found), readmitMax)]
}

// lookAround asks who is on the local network where everybody is, for a peer
// whose known peers have all moved.
func (m *Mesh) lookAround(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, renewalAttempt)
	defer cancel()
	found := m.discover(ctx)
	if len(found) == 0 {
		return
	}
	result, err := m.readmitAny(ctx, found)
	if err != nil {
		m.config.Log.Debug("nobody on the local network lets us in", "err", err)
		return
	}
	m.AddSeeds(result.Seeds)
}

// readmitAny asks the doors at these addresses, some at a time.
func (m *Mesh) readmitAny(ctx context.Context, addresses []string) (*JoinResult, error) {
	if len(addresses) == 0 {
		return nil, errors.New("no other peer is known: join again with \"slapd join HOST:PORT --token T\", which keeps this computer and all that it has")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		result *JoinResult
		err    error
	}
	answers := make(chan answer)
	next, running := 0, 0
	var errs []error
	for next < len(addresses) || running > 0 {
		for ; next < len(addresses) && running < readmitDoors; next++ {
			address := addresses[next]
			running++
			go func() {
				result, err := m.readmitAt(ctx, address)
				answers <- answer{result, err}
			}()
		}
		a := <-answers
		running--
		if a.err == nil {
			cancel()
			for range running {
				<-answers
			}
			return a.result, nil
		}
		errs = append(errs, a.err)
	}
	return nil, fmt.Errorf("no peer that answers renews it (%d addresses were tried): if all have moved, \"slapd join HOST:PORT --token T\" finds them, and keeps this computer and all that it has: %w",
		len(addresses), errors.Join(errs[:min(len(errs), 3)]...))
}

// doors lists where other peers may be, those that were reached last first.
func (m *Mesh) doors() []string {
	var first, more []string
	for _, id := range m.book.absent() { // in any order
		d, last, ok := m.book.lookup(id)
		if !ok {
			continue
		}
		for i, a := range candidates(d, last, m.config.Host) {
			if i == 0 {
				first = append(first, a)
			} else {
				more = append(more, a)
			}
		}
	}
	all := append(first, more...)
	var distinct []string
	for _, a := range all {
		if len(distinct) < readmitMax && !slices.Contains(distinct, a) {
			distinct = append(distinct, a)
		}
	}
	return distinct
}

// readmitAt asks one door.
func (m *Mesh) readmitAt(ctx context.Context, address string) (*JoinResult, error) {
	ctx, cancel := context.WithTimeout(ctx, readmitTimeout)
	defer cancel()
	c := JoinConfig{Identity: m.config.Identity, Address: address, Name: m.config.Name, Addresses: m.addresses(), Clock: m.config.Clock, Timeout: m.config.Profile.Handshake, returning: true}
	c.Addresses = c.Addresses[:min(len(c.Addresses), maxAddresses)]
	result, by, err := joinOver(ctx, c, m.wall.own().digest, m.links.transport)
	if errors.Is(err, errWasRemoved) && by != "" {
		m.config.Removed(by)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return result, nil
}

// joinOver asks a door over a transport. It also returns whose door answered,
// if its certificate is valid.
func joinOver(ctx context.Context, c JoinConfig, digest [32]byte, t *quic.Transport) (_ *JoinResult, by PeerID, err error) {
	ca, conn, done, err := knockAny(ctx, c, digest, t)
	if err != nil {
		return nil, "", err
	}
	defer done()
	defer func() { _ = conn.CloseWithError(codeDoor, "done") }() // what was asked for is here, or not
	defer context.AfterFunc(ctx, func() { _ = conn.CloseWithError(codeDoor, "given up") })()
	// Of who stands at a door with an expired certificate of its own nothing is
	// believed but what the CA signed.
	if leaf := conn.ConnectionState().TLS.PeerCertificates[0]; !c.Clock().After(leaf.NotAfter) {
		by = peerOfState(conn.ConnectionState().TLS)
	}
	reply, err := ask(ctx, c, conn)
	if err != nil {
		return nil, by, err
	}
	result, err := reply.result(c, ca)
	return result, by, err
}
