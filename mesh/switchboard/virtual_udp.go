package switchboard

import (
	"net"
	"syscall"

	"golang.org/x/net/ipv4"
)

// virtualUDP is a virtual socket on a UDP socket of the system: quic-go hands
// it many packets in one write, which leave in one write too.
type virtualUDP struct {
	*virtual
	socket *net.UDPConn
}

// SyscallConn is that of the socket, which quic-go asks what it can do.
func (v virtualUDP) SyscallConn() (syscall.RawConn, error) { return v.socket.SyscallConn() }

// ReadMsgUDP is not called, for there is ReadBatch.
func (v virtualUDP) ReadMsgUDP(b, _ []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	n, from, err := v.ReadFrom(b)
	if err != nil {
		return 0, 0, 0, nil, err
	}
	u, _ := from.(*net.UDPAddr)
	return n, 0, 0, u, nil
}

// ReadBatch returns the packets that wait, at least one.
func (v virtualUDP) ReadBatch(ms []ipv4.Message, _ int) (int, error) {
	n, from, err := v.ReadFrom(ms[0].Buffers[0])
	if err != nil {
		return 0, err
	}
	ms[0].N, ms[0].NN, ms[0].Addr = n, 0, from
	for i := 1; i < len(ms); i++ {
		select {
		case p := <-v.packets:
			ms[i].N, ms[i].NN, ms[i].Addr = copy(ms[i].Buffers[0], *p.buffer), 0, p.from
			v.buffers.Put(p.buffer)
		default:
			return i, nil
		}
	}
	return len(ms), nil
}

// WriteMsgUDP sends one packet, or, as the control message says, several that
// stand one behind another. Marks of congestion are not carried on.
func (v virtualUDP) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	size := segmentSize(oob)
	if size == 0 || size >= len(b) {
		n, err = v.WriteTo(b, addr)
		return n, len(oob), err
	}
	hop, ok := v.board.lookup(addr)
	if !ok {
		return len(b), len(oob), nil
	}
	to := hop.Carrier.Address()
	if to == nil {
		for rest := b; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			if _, err := v.WriteTo(rest[:min(size, len(rest))], addr); err != nil {
				return 0, 0, err
			}
		}
		return len(b), len(oob), nil
	}
	out := v.batches.Get().(*[]byte)
	defer v.batches.Put(out)
	*out = (*out)[:0]
	for rest := b; len(rest) > 0; rest = rest[min(size, len(rest)):] {
		*out = append(Header(*out, Carry, hop.Label), rest[:min(size, len(rest))]...)
	}
	// An error tells quic-go to do without segments; any other loses packets,
	// as a network does.
	if _, _, err := v.socket.WriteMsgUDP(*out, segmentControl(nil, HeaderSize+size), to); err != nil {
		return 0, 0, err
	}
	return len(b), len(oob), nil
}
