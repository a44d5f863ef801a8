// Package tcp carries packets over one TCP connection, for networks in which
// UDP does not pass. A [Pipe] does so for as long as its Run runs; what does
// not fit is dropped, as a network drops it, for what is carried is QUIC.
//
// On the wire each packet stands behind 2 bytes of length, within TLS. Before
// the first, each end sends 8 bytes: the label under which it takes packets.
//
// Elsewhere: mesh/switchboard sorts the packets; mesh makes and checks the
// connections.
package tcp

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// MaxPacket is how long a packet may be.
	MaxPacket = 1500
	// queue is how many packets wait to be written.
	queue = 256
	// stuck is how long writing may not go on.
	stuck = 10 * time.Second
)

// A Pipe carries packets over a connection.
type Pipe struct {
	conn    net.Conn
	packets chan *[]byte
	buffers sync.Pool
}

// NewPipe makes a Pipe of a connection, which Run closes.
func NewPipe(conn net.Conn) *Pipe {
	return &Pipe{
		conn: conn, packets: make(chan *[]byte, queue),
		buffers: sync.Pool{New: func() any { b := make([]byte, 0, 2+MaxPacket); return &b }},
	}
}

// Address is nil: packets do not go over a UDP socket.
func (*Pipe) Address() *net.UDPAddr { return nil }

// Send queues a packet, or drops it if the queue is full.
func (p *Pipe) Send(packet []byte) {
	if len(packet) == 0 || len(packet) > MaxPacket {
		return
	}
	b := p.buffers.Get().(*[]byte)
	*b = append(binary.BigEndian.AppendUint16((*b)[:0], uint16(len(packet))), packet...)
	select {
	case p.packets <- b:
	default:
		p.buffers.Put(b)
	}
}

// Greet tells the other end a label and returns its own.
func (p *Pipe) Greet(label uint64) (uint64, error) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], label)
	if _, err := p.conn.Write(b[:]); err != nil {
		return 0, fmt.Errorf("greet over tcp: %w", err)
	}
	if _, err := io.ReadFull(p.conn, b[:]); err != nil {
		return 0, fmt.Errorf("greet over tcp: %w", err)
	}
	return binary.BigEndian.Uint64(b[:]), nil
}

// Run carries packets until the connection or ctx ends. Each that arrives is
// given to take, which may change it but keeps nothing of it.
func (p *Pipe) Run(ctx context.Context, clock func() time.Time, take func([]byte)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = p.conn.Close() })()
	written := make(chan error, 1)
	go func() {
		defer cancel()
		written <- p.write(ctx, clock)
	}()
	err := Read(p.conn, take)
	cancel()
	_ = p.conn.Close() // whatever ended it
	if e := <-written; e != nil {
		return e
	}
	return err
}

// write sends what is queued, many packets at a time if they wait.
func (p *Pipe) write(ctx context.Context, clock func() time.Time) error {
	w := bufio.NewWriterSize(p.conn, 16<<10)
	for {
		var b *[]byte
		select {
		case b = <-p.packets:
		case <-ctx.Done():
			return nil
		}
		if err := p.conn.SetWriteDeadline(clock().Add(stuck)); err != nil {
			return err
		}
		for b != nil {
			_, err := w.Write(*b)
			p.buffers.Put(b)
			if err != nil {
				return err
			}
			select {
			case b = <-p.packets:
			default:
				b = nil
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
}

var errPacket = errors.New("a packet over tcp is empty or too long")

// Read reads packets until r ends.
func Read(r io.Reader, take func([]byte)) error {
	in := bufio.NewReaderSize(r, 16<<10)
	var size [2]byte
	packet := make([]byte, MaxPacket)
	for {
		if _, err := io.ReadFull(in, size[:]); err != nil {
			return fmt.Errorf("read over tcp: %w", err)
		}
		n := int(binary.BigEndian.Uint16(size[:]))
		if n == 0 || n > MaxPacket {
			return errPacket
		}
		if _, err := io.ReadFull(in, packet[:n]); err != nil {
			return fmt.Errorf("read over tcp: %w", err)
		}
		take(packet[:n])
	}
}
