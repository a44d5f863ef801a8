// Package datagram carries datagrams over streams: what programs say to a UDP
// service of an instance, on its way to the computer that hosts it.
//
// [Serve] is the end where programs are: each of their addresses has a session
// of its own, which is one stream. [Carry] is the other end, or any: it brings
// the datagrams of a stream to a socket, and back. A session on which nothing
// was said for a while ends.
//
// On a stream a datagram stands behind its length in 2 bytes, big-endian. So
// each arrives whole and in order, and a lost packet holds up those behind it.
package datagram

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// Max is how long a datagram may be: as long as one of UDP over IPv4.
	Max = 65507
	// Idle is after how much silence a session ends: no sooner than most
	// translators forget theirs.
	Idle = 2 * time.Minute
)

// Write sends one datagram on a stream.
func Write(w io.Writer, p []byte) error {
	if len(p) > Max {
		return fmt.Errorf("write datagram: %d bytes, at most %d are allowed", len(p), Max)
	}
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(p)), uint16(len(p)))
	_, err := w.Write(append(b, p...))
	return err
}

// Read reads one datagram of a stream into p, which has room for Max bytes.
func Read(r io.Reader, p []byte) (int, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, err // the end, between two of them
	}
	n := int(binary.BigEndian.Uint16(head[:]))
	if n > min(len(p), Max) {
		return 0, fmt.Errorf("read datagram: %d bytes, at most %d are allowed", n, Max)
	}
	if _, err := io.ReadFull(r, p[:n]); err != nil {
		return 0, fmt.Errorf("read datagram: %w", err)
	}
	return n, nil
}

// Carry carries datagrams between a stream and a socket that leads to one
// place, until the stream ends, either fails, or nothing was said for idle.
// Then it closes both. What both directions carried is added to carried, if
// that is not nil.
//
// That nobody listens at the other end of the socket yet ends nothing: it is
// the way of UDP that what is said then is lost.
func Carry(stream, socket io.ReadWriteCloser, idle time.Duration, carried *atomic.Uint64) {
	end := sync.OnceFunc(func() {
		_ = stream.Close() // whatever they say, both are over
		_ = socket.Close()
	})
	defer end()
	silence := time.AfterFunc(idle, end)
	defer silence.Stop()
	said := func(n int) {
		silence.Reset(idle)
		if carried != nil {
			carried.Add(uint64(n))
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer end()
	wg.Go(func() {
		defer end()
		b := make([]byte, Max)
		for {
			n, err := socket.Read(b)
			if errors.Is(err, syscall.ECONNREFUSED) {
				continue
			}
			if err != nil || Write(stream, b[:n]) != nil {
				return
			}
			said(n)
		}
	})
	b := make([]byte, Max)
	for {
		n, err := Read(stream, b)
		if err != nil {
			return
		}
		if _, err := socket.Write(b[:n]); err != nil && !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.EMSGSIZE) {
			return
		}
		said(n)
	}
}
