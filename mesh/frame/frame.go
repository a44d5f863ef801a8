// Package frame is how values travel between peers and lie on their disks:
// core deterministic CBOR (RFC 8949, 4.2), so that each value has one form, on
// streams behind its length in 4 bytes, big-endian.
//
// Decoding refuses whatever a stranger could use to exhaust memory: lengths
// that are not known in advance, tags, deep nesting, and arrays of more than
// [MaxElements]. How long a frame may be is for the reader to say.
package frame

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"
)

// MaxElements bounds the arrays that are decoded: the peers that there may be.
const MaxElements = 8192

var (
	encoding = must(cbor.CoreDetEncOptions().EncMode())
	decoding = must(cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		MaxNestedLevels:  8,
		MaxArrayElements: MaxElements,
		MaxMapPairs:      64,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // options that are constants of this file
	}
	return v
}

// Encode returns the one form of v.
func Encode(v any) ([]byte, error) { return encoding.Marshal(v) }

// Decode reads into v, a pointer, what Encode wrote.
func Decode(data []byte, v any) error { return decoding.Unmarshal(data, v) }

// Write sends v behind its length.
func Write(w io.Writer, v any) error {
	body, err := Encode(v)
	if err != nil {
		return fmt.Errorf("encode frame: %w", err)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	return err
}

// Read reads into v, a pointer, what Write sent, if it is at most limit bytes.
func Read(r io.Reader, limit int, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return fmt.Errorf("read frame: %w", err)
	}
	size := binary.BigEndian.Uint32(head[:])
	if int64(size) > int64(limit) {
		return fmt.Errorf("read frame: %d bytes, at most %d are allowed", size, limit)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return fmt.Errorf("read frame: %w", err)
	}
	if err := Decode(body, v); err != nil {
		return fmt.Errorf("read frame: %w", err)
	}
	return nil
}
