package handover

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/mesh/frame"
)

// The bounds of what a stream carries.
const (
	maxAsk     = 1 << 10
	maxAnswer  = 1 << 20 // with all secrets of an instance
	maxReason  = 500
	maxPiece   = 64 << 10
	maxSecrets = 1024
)

// patience is how long the other end may say nothing before it counts as
// lost. Who waits for something says so more often.
const patience = time.Minute

// An ask is the first frame of a stream: whose data is wanted, and for whom.
type ask struct {
	Instance uint64 `cbor:"1,keyasint"`
	For      uint64 `cbor:"2,keyasint"`
}

// An answer is any frame before the data: why that has to wait, that it is
// refused, or what goes with it.
type answer struct {
	Wait    string `cbor:"1,keyasint,omitempty"`
	Refusal string `cbor:"2,keyasint,omitempty"`
	System  string `cbor:"3,keyasint,omitempty"` // that wrote the data, such as "linux/amd64"
	Secrets []pair `cbor:"4,keyasint,omitempty"` // sorted
}

// A pair is a secret and its name.
type pair struct {
	_     struct{} `cbor:",toarray"`
	Name  string
	Value string
}

func pairsOf(secrets map[string]string) []pair {
	out := make([]pair, 0, len(secrets))
	for name, value := range secrets {
		out = append(out, pair{Name: name, Value: value})
	}
	slices.SortFunc(out, func(a, b pair) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out
}

// A writer sends pieces: each behind its length in 4 bytes, big-endian. The
// last has no length, and is followed by the SHA-256 of all.
type writer struct {
	conn  net.Conn
	clock func() time.Time
	hash  hash.Hash
}

func newWriter(conn net.Conn, clock func() time.Time) *writer {
	return &writer{conn, clock, sha256.New()}
}

func (w *writer) Write(b []byte) (int, error) {
	written := 0
	for part := range slices.Chunk(b, maxPiece) {
		_ = w.conn.SetDeadline(w.clock().Add(patience))
		head := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(part)), uint32(len(part)))
		if _, err := w.conn.Write(append(head, part...)); err != nil {
			return written, err
		}
		_, _ = w.hash.Write(part) // never fails
		written += len(part)
	}
	return written, nil
}

// end says that this was all.
func (w *writer) end() error {
	_ = w.conn.SetDeadline(w.clock().Add(patience))
	_, err := w.conn.Write(w.hash.Sum(make([]byte, 4)))
	return err
}

// A reader reads what a writer wrote. It ends well only at the end that the
// writer meant.
type reader struct {
	conn  net.Conn
	clock func() time.Time
	hash  hash.Hash
	left  int // of the piece
	ended bool
}

func (r *reader) Read(b []byte) (int, error) {
	if r.ended {
		return 0, io.EOF
	}
	_ = r.conn.SetDeadline(r.clock().Add(patience))
	if r.left == 0 {
		if err := r.next(); err != nil {
			return 0, err
		}
		if r.ended {
			return 0, io.EOF
		}
	}
	n, err := r.conn.Read(b[:min(len(b), r.left)])
	_, _ = r.hash.Write(b[:n]) // never fails
	r.left -= n
	return n, whole(err)
}

// next reads the head of a piece, and what follows the last.
func (r *reader) next() error {
	var head [4]byte
	if _, err := io.ReadFull(r.conn, head[:]); err != nil {
		return whole(err)
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxPiece {
		return fmt.Errorf("handover: a piece of %d bytes, at most %d are allowed", size, maxPiece)
	}
	if r.left = int(size); size > 0 {
		return nil
	}
	var sum [sha256.Size]byte
	if _, err := io.ReadFull(r.conn, sum[:]); err != nil {
		return whole(err)
	}
	if sum != [sha256.Size]byte(r.hash.Sum(nil)) {
		return errors.New("handover: the data came to harm on the way")
	}
	r.ended = true
	return nil
}

// whole makes an end that comes too early an error.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func send(conn net.Conn, clock func() time.Time, v any) error {
	_ = conn.SetDeadline(clock().Add(patience))
	return frame.Write(conn, v)
}

func receive(conn net.Conn, clock func() time.Time, limit int, v any) error {
	_ = conn.SetDeadline(clock().Add(patience))
	return frame.Read(conn, limit, v)
}
