package switchboard

import "encoding/binary"

// A Label says to its receiver what an envelope is for. The receiver chose it
// at random; zero stands for none.
type Label uint64

// The first byte of an envelope. Its two highest bits are 0, which no packet
// of QUIC has.
const (
	// Carry is followed by a label and a packet of QUIC.
	Carry byte = 2
	// Signal is followed by a label and what Board.OnSignal understands.
	Signal byte = 3
)

const (
	// HeaderSize is the length of an envelope without its content.
	HeaderSize = 9
	// PacketSize is how long a packet of a virtual connection may be: with
	// its envelope it fits 1,280 bytes of IPv6, which every path carries.
	PacketSize = 1220

	maxEnvelope = 1500
)

// quicBits are set, one or both, in the first byte of each packet of QUIC.
const quicBits = 0xc0

// Header appends the beginning of an envelope to b.
func Header(b []byte, kind byte, label Label) []byte {
	return binary.BigEndian.AppendUint64(append(b, kind), uint64(label))
}

// open returns the parts of an envelope.
func open(b []byte) (kind byte, label Label, content []byte, ok bool) {
	if len(b) <= HeaderSize || b[0] != Carry && b[0] != Signal {
		return 0, 0, nil, false
	}
	return b[0], Label(binary.BigEndian.Uint64(b[1:])), b[HeaderSize:], true
}

// relabel puts another label on an envelope.
func relabel(b []byte, label Label) { binary.BigEndian.PutUint64(b[1:], uint64(label)) }
