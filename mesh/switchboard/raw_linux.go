//go:build linux && (amd64 || arm64)

package switchboard

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// raw reads and writes a UDP socket by system calls of which Go's scheduler is
// not told. They never block, so that it need not know; and telling it wakes its
// monitor thread, which is a third of what an idle peer costs.
type raw struct {
	conn  syscall.RawConn
	v6    bool
	zones map[uint32]string // owned by read

	// owned by read
	in      [batch]header
	vectors [batch]unix.Iovec
	from    [batch]unix.RawSockaddrInet6
}

// batch is how many packets one call takes at most: as many as quic-go reads.
const batch = 8

// header is the kernel's struct mmsghdr.
type header struct {
	unix.Msghdr
	n uint32
	_ [4]byte
}

// newRaw returns nil if the socket cannot be used so.
func newRaw(u *net.UDPConn) *raw {
	conn, err := u.SyscallConn()
	if err != nil {
		return nil
	}
	r := &raw{conn: conn, zones: make(map[uint32]string)}
	if conn.Control(func(fd uintptr) {
		var name unix.Sockaddr
		name, err = unix.Getsockname(int(fd))
		_, r.v6 = name.(*unix.SockaddrInet6)
	}) != nil || err != nil {
		return nil
	}
	return r
}

// read fills at least one of ms, as [ipv4.PacketConn.ReadBatch] does.
func (r *raw) read(ms []ipv4.Message, flags int) (int, error) {
	ms = ms[:min(len(ms), batch)]
	for i := range ms {
		m, h := &ms[i], &r.in[i]
		r.vectors[i] = unix.Iovec{Base: unsafe.SliceData(m.Buffers[0]), Len: uint64(len(m.Buffers[0]))}
		h.Msghdr = unix.Msghdr{
			Name: (*byte)(unsafe.Pointer(&r.from[i])), Namelen: unix.SizeofSockaddrInet6,
			Iov: &r.vectors[i], Iovlen: 1,
			Control: unsafe.SliceData(m.OOB), Controllen: uint64(len(m.OOB)),
		}
	}
	var n uintptr
	var errno syscall.Errno
	err := r.conn.Read(func(fd uintptr) bool {
		for {
			n, _, errno = unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.in[0])), uintptr(len(ms)), uintptr(flags), 0, 0)
			if errno != unix.EINTR {
				return errno != unix.EAGAIN
			}
		}
	})
	if err == nil && errno != 0 {
		err = os.NewSyscallError("recvmmsg", errno)
	}
	if err != nil {
		return 0, err
	}
	for i := range int(n) {
		m, h := &ms[i], &r.in[i]
		m.N, m.NN, m.Flags, m.Addr = int(h.n), int(h.Controllen), int(h.Flags), r.address(i)
	}
	return int(n), nil
}

// address is where packet i came from.
func (r *raw) address(i int) net.Addr {
	from := &r.from[i]
	port := func(p *uint16) int { b := (*[2]byte)(unsafe.Pointer(p)); return int(b[0])<<8 | int(b[1]) }
	if from.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(from))
		return &net.UDPAddr{IP: append(net.IP(nil), v4.Addr[:]...), Port: port(&v4.Port)}
	}
	a := &net.UDPAddr{IP: append(net.IP(nil), from.Addr[:]...), Port: port(&from.Port)}
	if from.Scope_id != 0 {
		zone, ok := r.zones[from.Scope_id]
		if !ok {
			if i, err := net.InterfaceByIndex(int(from.Scope_id)); err == nil {
				zone = i.Name
			}
			r.zones[from.Scope_id] = zone
		}
		a.Zone = zone
	}
	return a
}

// writing is one write under way.
type writing struct {
	message unix.Msghdr
	vector  unix.Iovec
	v4      unix.RawSockaddrInet4
	v6      unix.RawSockaddrInet6
	errno   syscall.Errno
	call    func(fd uintptr) bool
}

var writings = sync.Pool{New: func() any {
	w := new(writing)
	w.call = w.send
	return w
}}

func (w *writing) send(fd uintptr) bool {
	for {
		_, _, w.errno = unix.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&w.message)), 0)
		if w.errno != unix.EINTR {
			return w.errno != unix.EAGAIN
		}
	}
}

// write sends a packet, or several with a control message that cuts them. It
// reports false if only the system's own way reaches the address.
func (r *raw) write(b, oob []byte, to *net.UDPAddr) (ok bool, _ error) {
	ip, valid := netip.AddrFromSlice(to.IP)
	if !valid || to.Zone != "" || len(b) == 0 || !r.v6 && !ip.Unmap().Is4() {
		return false, nil
	}
	w := writings.Get().(*writing)
	defer writings.Put(w)
	port := [2]byte{byte(to.Port >> 8), byte(to.Port)}
	w.vector = unix.Iovec{Base: &b[0], Len: uint64(len(b))}
	w.message = unix.Msghdr{Iov: &w.vector, Iovlen: 1}
	if r.v6 {
		w.v6 = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: *(*uint16)(unsafe.Pointer(&port)), Addr: ip.As16()}
		w.message.Name, w.message.Namelen = (*byte)(unsafe.Pointer(&w.v6)), unix.SizeofSockaddrInet6
	} else {
		w.v4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: *(*uint16)(unsafe.Pointer(&port)), Addr: ip.Unmap().As4()}
		w.message.Name, w.message.Namelen = (*byte)(unsafe.Pointer(&w.v4)), unix.SizeofSockaddrInet4
	}
	if len(oob) > 0 {
		w.message.Control, w.message.Controllen = &oob[0], uint64(len(oob))
	}
	err := r.conn.Write(w.call)
	if err == nil && w.errno != 0 {
		err = os.NewSyscallError("sendmsg", w.errno)
	}
	w.vector, w.message = unix.Iovec{}, unix.Msghdr{}
	return true, err
}
