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
	headerLimit  = 256
)

// header is what the connecting end sends first, behind its length in two
// bytes. The hosting end answers with one byte.
type header struct {
	Format  uint64 `cbor:"1,keyasint"`
	Address string `cbor:"2,keyasint"` // ADDRESS:PORT of the instance
}

// The answers of the hosting end.
const (
	answerYes       byte = 0
	answerForbidden byte = 1 // not an instance of ours, or not for this peer
	answerDown      byte = 2 // the instance does not answer
	answerBusy      byte = 3 // too many connections
	answerMalformed byte = 4
)

var errAnswer = map[byte]error{
	answerForbidden: errors.New("the host does not let us connect to it"),
	answerDown:      errors.New("the instance does not answer"),
	answerBusy:      errors.New("the host has too many connections"),
	answerMalformed: errors.New("the host does not understand us: use the same version of slapd"),
}

// encodeHeader asks for an address.
func encodeHeader(a netip.AddrPort) ([]byte, error) {
	body, err := cbor.Marshal(header{headerFormat, a.String()})
	if err != nil {
		return nil, fmt.Errorf("encode tunnel header: %w", err)
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(body))), body...), nil
}

// readHeader reads what encodeHeader wrote.
func readHeader(r io.Reader) (netip.AddrPort, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return netip.AddrPort{}, fmt.Errorf("read tunnel header: %w", err)
	}
	n := binary.BigEndian.Uint16(size[:])
	if n > headerLimit {
		return netip.AddrPort{}, fmt.Errorf("read tunnel header: %d bytes, at most %d are allowed", n, headerLimit)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return netip.AddrPort{}, fmt.Errorf("read tunnel header: %w", err)
	}
	var h header
	if err := cbor.Unmarshal(body, &h); err != nil {
		return netip.AddrPort{}, fmt.Errorf("read tunnel header: %w", err)
	}
	if h.Format != headerFormat {
		return netip.AddrPort{}, fmt.Errorf("read tunnel header: format %d is not known here", h.Format)
	}
	a, err := netip.ParseAddrPort(h.Address)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("read tunnel header: %w", err)
	}
	if !tunnelled(a) {
		return netip.AddrPort{}, fmt.Errorf("read tunnel header: %s is not the address of an instance", a)
	}
	return a, nil
}
