package switchboard

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// segmentControl appends the control message by which Linux cuts one write
// into packets of a size (UDP_SEGMENT, udp(7)).
func segmentControl(b []byte, size int) []byte {
	start := len(b)
	b = append(b, make([]byte, unix.CmsgSpace(2))...)
	h := b[start:]
	n := 8 // of the length's own bytes
	if unix.SizeofCmsghdr == 16 {
		binary.NativeEndian.PutUint64(h, uint64(unix.CmsgLen(2)))
	} else {
		n = 4
		binary.NativeEndian.PutUint32(h, uint32(unix.CmsgLen(2)))
	}
	binary.NativeEndian.PutUint32(h[n:], unix.IPPROTO_UDP)
	binary.NativeEndian.PutUint32(h[n+4:], unix.UDP_SEGMENT)
	binary.NativeEndian.PutUint16(h[unix.CmsgSpace(0):], uint16(size))
	return b
}

// segmentSize finds it in control messages, or returns 0.
func segmentSize(oob []byte) int {
	for len(oob) > 0 {
		h, body, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return 0
		}
		if h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_SEGMENT && len(body) >= 2 {
			return int(binary.NativeEndian.Uint16(body))
		}
		oob = rest
	}
	return 0
}

const canSegment = true
