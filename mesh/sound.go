package mesh

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
)

// An echo is what comes back from an address that is asked in a version of
// QUIC that nobody speaks.
type echo int

const (
	echoNone    echo = iota // nothing
	echoQUIC                // which versions are spoken: QUIC is
	echoOther               // something that is not QUIC
	echoRefused             // the computer says that nobody listens there
	echoNoRoute             // no way there
)

const (
	soundSize   = 1200 // the least that QUIC answers
	soundRepeat = 400 * time.Millisecond
	soundLimit  = 2 * time.Second
)

// sound asks an address what it speaks. It tells nothing of us.
func sound(ctx context.Context, to netip.AddrPort) echo {
	ctx, cancel := context.WithTimeout(ctx, soundLimit)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "udp", to.String())
	if err != nil {
		return echoNoRoute
	}
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	defer func() { _ = c.Close() }()
	// A long header, a version that is reserved for this (RFC 9000, 15), two
	// connection ids of 8 bytes, and random bytes.
	packet := make([]byte, soundSize)
	_, _ = rand.Read(packet) // never fails
	copy(packet, []byte{0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8})
	packet[14] = 8
	go func() {
		tick := time.NewTicker(soundRepeat)
		defer tick.Stop()
		for {
			if _, err := c.Write(packet); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	answer := make([]byte, 64)
	n, err := c.Read(answer)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return echoRefused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return echoNoRoute
	case err != nil:
		return echoNone
	case n >= 5 && answer[0]&0x80 != 0 && [4]byte(answer[1:5]) == [4]byte{}:
		return echoQUIC
	}
	return echoOther
}

// A tryError says why an address did not answer as wanted. Of several the one
// of the lowest rank says most.
type tryError struct {
	rank int
	text string
	err  error
}

// Error is what is wrong and what to do.
func (e *tryError) Error() string { return e.text }

// Unwrap is the cause.
func (e *tryError) Unwrap() error { return e.err }

// rankNobody is from where on nobody answered.
const rankNobody = 4

func rank(err error) int {
	if t, ok := errors.AsType[*tryError](err); ok {
		return t.rank
	}
	return 9
}

// noALPN is how TLS says that no protocol is shared: whatever speaks QUIC
// there, it is not slapd.
const noALPN quic.TransportErrorCode = 0x100 + 120

// explainTry says what to do about an address that failed.
func explainTry(err error, heard echo, a netip.AddrPort, c JoinConfig) error {
	port := a.Port()
	open := fmt.Sprintf("there, one of: nft add rule inet filter input udp dport %d accept; ufw allow %d/udp; firewall-cmd --add-port=%d/udp", port, port, port)
	failed, handshook := errors.AsType[*quic.TransportError](err)
	switch {
	case errors.Is(err, ErrOtherMesh):
		return &tryError{0, "this peer was a member of another mesh than the token or fingerprint is of", err}
	case errors.Is(err, errOtherCA):
		return &tryError{0, "the peer there is of another mesh than the token or fingerprint: check the address, or ask for a token of this mesh", err}
	case handshook && failed.Remote && failed.ErrorCode == noALPN:
		return &tryError{2, "something there speaks QUIC, but not as this slapd does: it is not slapd (check address and port), or its version is too old or too new (upgrade slapd, here or there)", err}
	case handshook && failed.Remote && failed.ErrorCode.IsCryptoError():
		return &tryError{0, "the peer there is of another mesh than the token or fingerprint (or is not slapd): check the address, or ask for a token of this mesh", err}
	case heard == echoOther:
		return &tryError{3, fmt.Sprintf("something answers on UDP port %d there, but it does not speak QUIC: it is not slapd: check the port (see listen in slapd status, there)", port), err}
	case heard == echoRefused:
		return &tryError{4, fmt.Sprintf("the computer is there, but nothing listens on its UDP port %d: start slapd there (slapd run), or give its port (see listen in slapd status, there)", port), err}
	case heard == echoNoRoute:
		return &tryError{6, "there is no way from this computer to that address: check the address, and the network of this computer (ip route)", err}
	case heard == echoQUIC:
		return &tryError{1, fmt.Sprintf("QUIC answers there, but the handshake did not end within %s: is the line very slow, or does it drop large packets (MTU below 1280)?", c.Timeout), err}
	}
	return &tryError{5, fmt.Sprintf("no answer within %s: is slapd running there, is %d its port, and does no firewall block UDP port %d? (%s)", c.Timeout, port, port, open), err}
}
