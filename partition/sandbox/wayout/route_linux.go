package wayout

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// forbid makes a network unreachable, in the network of this process.
func forbid(p netip.Prefix) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Sendto(fd, unreachable(p), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	reply := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, reply, 0)
	if err != nil {
		return err
	}
	if n < unix.NLMSG_HDRLEN+4 || binary.NativeEndian.Uint16(reply[4:]) != unix.NLMSG_ERROR {
		return errors.New("the kernel's answer is not one")
	}
	if failed := int32(binary.NativeEndian.Uint32(reply[unix.NLMSG_HDRLEN:])); failed != 0 && unix.Errno(-failed) != unix.EEXIST {
		return unix.Errno(-failed)
	}
	return nil
}

// unreachable is the message that adds such a route: a header, a route, and
// its destination as an attribute.
func unreachable(p netip.Prefix) []byte {
	const attribute = unix.SizeofRtAttr + 4
	m := make([]byte, 0, unix.NLMSG_HDRLEN+unix.SizeofRtMsg+attribute)
	m = binary.NativeEndian.AppendUint32(m, uint32(cap(m)))
	m = binary.NativeEndian.AppendUint16(m, unix.RTM_NEWROUTE)
	m = binary.NativeEndian.AppendUint16(m, unix.NLM_F_REQUEST|unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	m = append(m, make([]byte, 8)...) // no number, from the kernel's point of view from nobody
	m = append(m, unix.AF_INET, byte(p.Bits()), 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNREACHABLE)
	m = append(m, 0, 0, 0, 0) // flags
	m = binary.NativeEndian.AppendUint16(m, attribute)
	m = binary.NativeEndian.AppendUint16(m, unix.RTA_DST)
	address := p.Masked().Addr().As4()
	return append(m, address[:]...)
}
