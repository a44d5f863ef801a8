//go:build unix

package supervisor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// writeDescriptor sends v behind its length, as writeFrame does, and a
// descriptor with it. The sender keeps its own.
func writeDescriptor(conn *net.UnixConn, v any, from syscall.Conn) error {
	body, err := encoding.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	raw, err := from.SyscallConn()
	if err != nil {
		return err
	}
	frame := append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body))), body...)
	var sendErr error
	err = raw.Control(func(fd uintptr) {
		var n int
		if n, _, sendErr = conn.WriteMsgUnix(frame, unix.UnixRights(int(fd)), nil); sendErr == nil && n < len(frame) {
			_, sendErr = conn.Write(frame[n:])
		}
	})
	return errors.Join(err, sendErr)
}

// readDescriptor receives one message into v, and the descriptor that came
// with it, or nil. The file must be closed.
func readDescriptor(conn *net.UnixConn, v any) (*os.File, error) {
	r := &descriptorReader{conn: conn}
	err := readFrame(r, v)
	if err != nil {
		r.close()
		return nil, err
	}
	return r.file, nil
}

// A descriptorReader reads a message and keeps the first descriptor that comes
// with it. There may be no other.
type descriptorReader struct {
	conn *net.UnixConn
	file *os.File
}

func (r *descriptorReader) Read(p []byte) (int, error) {
	control := make([]byte, unix.CmsgSpace(4*4))
	n, controlLen, _, _, err := r.conn.ReadMsgUnix(p, control)
	if err != nil {
		return n, err
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	if controlLen > 0 {
		err = r.keep(control[:controlLen])
	}
	return n, err
}

func (r *descriptorReader) keep(control []byte) error {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return fmt.Errorf("read descriptor: %w", err)
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue // something else, which nobody asked for
		}
		for _, fd := range fds {
			if r.file != nil {
				_ = unix.Close(fd)
				continue
			}
			r.file = os.NewFile(uintptr(fd), "passed")
		}
	}
	return nil
}

func (r *descriptorReader) close() {
	if r.file != nil {
		_ = r.file.Close()
	}
}

// connectionOf makes a connection of a descriptor, and closes that.
func connectionOf(f *os.File, udp bool) (net.Conn, error) {
	if f == nil {
		return nil, errors.New("no descriptor came")
	}
	c, err := net.FileConn(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	_, isTCP := c.(*net.TCPConn)
	_, isUDP := c.(*net.UDPConn)
	if udp && !isUDP || !udp && !isTCP {
		return nil, errors.Join(errors.New("the descriptor is not of the network that was asked for"), c.Close())
	}
	return c, nil
}

// socketOf makes a socket for datagrams of a descriptor, and closes that.
func socketOf(f *os.File) (net.PacketConn, error) {
	if f == nil {
		return nil, errors.New("no descriptor came")
	}
	c, err := net.FilePacketConn(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if _, ok := c.(*net.UDPConn); !ok {
		return nil, errors.Join(errors.New("the descriptor is no UDP socket"), c.Close())
	}
	return c, nil
}

// listenerOf makes a TCP listener of a descriptor, and closes that.
func listenerOf(f *os.File) (*net.TCPListener, error) {
	if f == nil {
		return nil, errors.New("no descriptor came")
	}
	l, err := net.FileListener(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(errors.New("the descriptor is no TCP listener"), l.Close())
	}
	return tcp, nil
}
