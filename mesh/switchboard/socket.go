package switchboard

import (
	"net"

	"golang.org/x/net/ipv4"
)

// plain is a socket whose envelopes are taken out before QUIC reads.
type plain struct {
	net.PacketConn
	board *Board
}

// ReadFrom returns the next packet that is no envelope.
func (s *plain) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := s.PacketConn.ReadFrom(p)
		if err != nil || n == 0 || p[0]&quicBits != 0 {
			return n, from, err
		}
		u, _ := from.(*net.UDPAddr)
		if hop, ok := s.board.take(p[:n], u); ok {
			s.board.Send(hop.Carrier, p[:n])
		}
	}
}

// SetReadBuffer is that of the socket, if it has one.
func (s *plain) SetReadBuffer(n int) error {
	if c, ok := s.PacketConn.(interface{ SetReadBuffer(int) error }); ok {
		return c.SetReadBuffer(n)
	}
	return nil
}

// SetWriteBuffer is that of the socket, if it has one.
func (s *plain) SetWriteBuffer(n int) error {
	if c, ok := s.PacketConn.(interface{ SetWriteBuffer(int) error }); ok {
		return c.SetWriteBuffer(n)
	}
	return nil
}

// forwardBatch is how many envelopes are passed on in one call: as many as
// quic-go reads in one.
const forwardBatch = 8

// batched is the same for a UDP socket of the system, from which quic-go
// reads several packets at a time, and to which it writes segmented ones.
type batched struct {
	*net.UDPConn
	board *Board
	batch *ipv4.PacketConn
	raw   *raw // nil: not here

	// owned by ReadBatch
	forward []ipv4.Message
	whole   bool // an interface cannot cut one write into packets
}

func newBatched(u *net.UDPConn, b *Board) *batched {
	s := &batched{UDPConn: u, board: b, raw: newRaw(u), batch: ipv4.NewPacketConn(u), forward: make([]ipv4.Message, 0, forwardBatch)}
	return s
}

// ReadBatch reads at least one packet that is no envelope. quic-go calls it,
// from one goroutine, and owns the buffers: what stays moves to the front by
// its bytes.
func (s *batched) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	for {
		n, err := s.read(ms, flags)
		if err != nil {
			return n, err
		}
		kept := 0
		for i := range n {
			m := &ms[i]
			packet := m.Buffers[0][:m.N]
			if m.N > 0 && packet[0]&quicBits == 0 {
				s.take(packet, m.Addr)
				continue
			}
			if kept < i {
				k := &ms[kept]
				copy(k.Buffers[0], packet)
				copy(k.OOB, m.OOB[:m.NN])
				k.N, k.NN, k.Flags, k.Addr = m.N, m.NN, m.Flags, m.Addr
			}
			kept++
		}
		s.flush()
		if kept > 0 {
			return kept, nil
		}
	}
}

// read is ReadBatch of the socket itself.
func (s *batched) read(ms []ipv4.Message, flags int) (int, error) {
	if s.raw != nil {
		return s.raw.read(ms, flags)
	}
	return s.batch.ReadBatch(ms, flags)
}

// WriteMsgUDP is that of the socket.
func (s *batched) WriteMsgUDP(b, oob []byte, to *net.UDPAddr) (n, oobn int, err error) {
	to = s.board.present(to)
	if s.raw != nil {
		if ok, err := s.raw.write(b, oob, to); ok {
			return len(b), len(oob), err
		}
	}
	return s.UDPConn.WriteMsgUDP(b, oob, to)
}

// take does what an envelope is for; one to be passed on waits for flush.
func (s *batched) take(envelope []byte, from net.Addr) {
	u, _ := from.(*net.UDPAddr)
	hop, ok := s.board.take(envelope, u)
	if !ok {
		return
	}
	a := hop.Carrier.Address()
	if a == nil {
		hop.Carrier.Send(envelope)
		return
	}
	if n := len(s.forward); n > 0 && s.joins(&s.forward[n-1], envelope, a) {
		m := &s.forward[n-1]
		m.Buffers = append(m.Buffers, envelope)
		return
	}
	if len(s.forward) == cap(s.forward) {
		s.flush()
	}
	s.forward = append(s.forward, ipv4.Message{Buffers: [][]byte{envelope}, Addr: a})
}

// joins reports whether an envelope can leave in one write with those of m: to
// the same neighbour, and as long as they are, but for the last.
func (s *batched) joins(m *ipv4.Message, envelope []byte, to *net.UDPAddr) bool {
	size, last := len(m.Buffers[0]), len(m.Buffers[len(m.Buffers)-1])
	u, ok := m.Addr.(*net.UDPAddr)
	return canSegment && !s.whole && last == size && len(envelope) <= size && ok && u.Port == to.Port && u.IP.Equal(to.IP)
}

// flush passes on what waits.
func (s *batched) flush() {
	for i := range s.forward {
		if m := &s.forward[i]; len(m.Buffers) > 1 {
			m.OOB = segmentControl(nil, len(m.Buffers[0]))
		}
	}
	for ms := s.forward; len(ms) > 0; {
		n, err := s.batch.WriteBatch(ms, 0)
		if err != nil || n == 0 {
			s.single(ms[0])
			n = 1
		}
		ms = ms[n:]
	}
	s.forward = s.forward[:0]
}

// single sends what did not leave at once one by one, if it was joined, for
// some interfaces cannot cut. Otherwise it is dropped, as packets may be.
func (s *batched) single(m ipv4.Message) {
	if len(m.Buffers) == 1 {
		return
	}
	s.whole = true
	for _, b := range m.Buffers {
		_, _ = s.WriteTo(b, m.Addr) // QUIC sends again what it misses
	}
}
