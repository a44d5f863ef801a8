package tunnel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/fxamacker/cbor/v2"
)

const (
	headerFormat = 1
	headerLimit  = 1024
	ticketLimit  = 512
)

// header is what the connecting end sends first, behind its length in two
// bytes. The hosting end answers with one byte.
type header struct {
	Format  uint64 `cbor:"1,keyasint"`
	Address string `cbor:"2,keyasint"` // ADDRESS:PORT of the instance
	Ticket  []byte `cbor:"3,keyasint,omitempty"`
	UDP     bool   `cbor:"4,keyasint,omitempty"`
}

// A Want is what a connecting end asks for.
type Want struct {
	Address netip.AddrPort // of the instance
	UDP     bool           // the stream carries datagrams, as package datagram writes them

	// Ticket is the proof that the connecting peer may do this although the
	// ledger does not say so of the peer itself. What it looks like is for
	// those who make and check it; at most 512 bytes.
	Ticket []byte
}

// The answers of the hosting end.
const (
	answerYes       byte = 0
	answerForbidden byte = 1 // not an instance of ours, or not for this peer
	answerDown      byte = 2 // the instance does not answer
	answerBusy      byte = 3 // too many connections
	answerMalformed byte = 4
)

// Why a host did not connect.
var (
	ErrForbidden = errors.New("the host does not let us connect to it")
	ErrDown      = errors.New("the instance does not answer")
	ErrBusy      = errors.New("the host has too many connections")
	errMalformed = errors.New("the host does not understand us: use the same version of slapd")
)

var errAnswer = map[byte]error{
	answerForbidden: ErrForbidden,
	answerDown:      ErrDown,
	answerBusy:      ErrBusy,
	answerMalformed: errMalformed,
}

// encodeHeader asks for what is wanted.
func encodeHeader(w Want) ([]byte, error) {
	body, err := cbor.Marshal(header{headerFormat, w.Address.String(), w.Ticket, w.UDP})
	if err != nil {
		return nil, fmt.Errorf("encode tunnel header: %w", err)
	}
	if len(w.Ticket) > ticketLimit {
		return nil, fmt.Errorf("encode tunnel header: a ticket of %d bytes, at most %d are allowed", len(w.Ticket), ticketLimit)
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(body))), body...), nil
}

// readHeader reads what encodeHeader wrote.
func readHeader(r io.Reader) (Want, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return Want{}, fmt.Errorf("read tunnel header: %w", err)
	}
	n := binary.BigEndian.Uint16(size[:])
	if n > headerLimit {
		return Want{}, fmt.Errorf("read tunnel header: %d bytes, at most %d are allowed", n, headerLimit)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return Want{}, fmt.Errorf("read tunnel header: %w", err)
	}
	var h header
	if err := cbor.Unmarshal(body, &h); err != nil {
		return Want{}, fmt.Errorf("read tunnel header: %w", err)
	}
	if h.Format != headerFormat {
		return Want{}, fmt.Errorf("read tunnel header: format %d is not known here", h.Format)
	}
	if len(h.Ticket) > ticketLimit {
		return Want{}, fmt.Errorf("read tunnel header: a ticket of %d bytes, at most %d are allowed", len(h.Ticket), ticketLimit)
	}
	a, err := netip.ParseAddrPort(h.Address)
	if err != nil {
		return Want{}, fmt.Errorf("read tunnel header: %w", err)
	}
	if !tunnelled(a) {
		return Want{}, fmt.Errorf("read tunnel header: %s is not the address of an instance", a)
	}
	return Want{a, h.UDP, h.Ticket}, nil
}
