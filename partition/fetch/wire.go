package fetch

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// The bounds of what a stream carries.
const (
	maxHello    = 1 << 10
	maxOffer    = 1<<20 + 4<<10
	maxRequest  = 64 << 10
	maxPieces   = 512
	maxBytes    = 8 << 20   // that one request may ask for
	maxManifest = 128 << 20 // about a million files
	maxRefusal  = 500

	// pieceSize is how much of a large file is asked for at once.
	pieceSize = 4 << 20
)

// What a stream is given before it counts as lost: so much time, and the time
// that the slowest line worth using takes.
const (
	patience = 30 * time.Second
	slowest  = 8 << 10 // bytes per second
)

func allow(c net.Conn, clock func() time.Time, bytes int64) error {
	return c.SetDeadline(clock().Add(patience + time.Duration(bytes/slowest)*time.Second))
}

// A hello is the first frame of a stream.
type hello struct {
	Key string `cbor:"1,keyasint"`
}

// An offer answers it.
type offer struct {
	Refusal     string `cbor:"1,keyasint,omitempty"`
	Attestation []byte `cbor:"2,keyasint,omitempty"`
	Manifest    int64  `cbor:"3,keyasint,omitempty"`
}

// A request asks for the manifest, or for pieces of files.
type request struct {
	Manifest bool    `cbor:"1,keyasint,omitempty"`
	Pieces   []piece `cbor:"2,keyasint,omitempty"`
}

// A piece is a part of a file.
type piece struct {
	_      struct{} `cbor:",toarray"`
	Index  int      // of the file's entry in the manifest
	Offset int64
	Length int64
}

// send writes a frame.
func send(c net.Conn, v any) error {
	body, err := cbor.Marshal(v)
	if err != nil {
		return fmt.Errorf("fetch: encode: %w", err)
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	_, err = c.Write(append(frame, body...))
	return err
}

// receive reads a frame of at most limit bytes.
func receive(c io.Reader, limit uint32, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > limit {
		return fmt.Errorf("fetch: a frame of %d bytes, at most %d expected", size, limit)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(c, body); err != nil {
		return err
	}
	if err := strict.Unmarshal(body, v); err != nil {
		return fmt.Errorf("fetch: decode: %w", err)
	}
	return nil
}

var strict = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		MaxArrayElements: maxPieces,
		MaxNestedLevels:  4,
	}.DecMode()
	if err != nil {
		panic("fetch: " + err.Error())
	}
	return mode
}()
