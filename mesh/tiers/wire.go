package tiers

import (
	"errors"
	"fmt"
	"io"

	"github.com/slapmesh/slapmesh/mesh/frame"
)

// The wire: a stream carries frames, 4 bytes of length and CBOR. Who opens it
// sends a request and reads an answer; a list goes on with further requests
// on the same stream, and descriptors follow where the answer wants them.

const (
	format = 1
	// frameMax bounds each frame: descriptors of a part of a list.
	frameMax = 192 << 10
	// partSize is how many entries one frame has at most.
	partSize = 256
	// namedPool is how many others an answer names.
	namedPool = 8
	// nameMax bounds an id.
	nameMax = 64
)

// What a request asks.
const (
	opGreet  uint64 = 1 // where are you, and who gossips?
	opAttach uint64 = 2 // give me a place
	opLeave  uint64 = 3 // I leave the mesh, as this descriptor says
	opDetach uint64 = 4 // do not hold me any more
	opTell   uint64 = 5 // this is whom I hold, or (View) what I see
	opPull   uint64 = 6 // tell me whom you hold: I have Have
)

// A request begins an exchange.
type request struct {
	Format     uint64  `cbor:"1,keyasint"`
	Op         uint64  `cbor:"2,keyasint"`
	Descriptor []byte  `cbor:"3,keyasint,omitempty"`
	Seq        uint64  `cbor:"4,keyasint,omitempty"` // of the asker's descriptor
	Hidden     bool    `cbor:"5,keyasint,omitempty"`
	Follow     bool    `cbor:"6,keyasint,omitempty"` // tell me what changes
	Have       uint64  `cbor:"7,keyasint,omitempty"`
	View       bool    `cbor:"8,keyasint,omitempty"`
	From       uint64  `cbor:"9,keyasint,omitempty"`
	To         uint64  `cbor:"10,keyasint,omitempty"`
	More       bool    `cbor:"11,keyasint,omitempty"`
	Entries    []Entry `cbor:"12,keyasint,omitempty"`
	Take       bool    `cbor:"13,keyasint,omitempty"` // hold me from now on; else it is only a question

	first bool // it begins a stream; does not travel
}

// check holds a request to its bounds.
func (r request) check() error {
	switch {
	case r.Format != format:
		return fmt.Errorf("format %d is not known here (this peer speaks %d): use the same version of slapd", r.Format, format)
	case len(r.Entries) > partSize:
		return fmt.Errorf("%d entries in a frame, at most %d are allowed", len(r.Entries), partSize)
	}
	for _, e := range r.Entries {
		if e.ID == "" || len(e.ID) > nameMax {
			return errors.New("an entry without a name, or with too long a one")
		}
	}
	return nil
}

// An answer ends an exchange, or one part of a list.
type answer struct {
	Format  uint64   `cbor:"1,keyasint"`
	Verdict Verdict  `cbor:"2,keyasint,omitempty"`
	Pool    [][]byte `cbor:"3,keyasint,omitempty"` // descriptors of peers that gossip
	Have    uint64   `cbor:"4,keyasint,omitempty"` // of the list that was told
	Want    []string `cbor:"5,keyasint,omitempty"` // whose descriptors are to follow
	Refused bool     `cbor:"6,keyasint,omitempty"` // the list does not follow what is there
}

func (a answer) check() error {
	switch {
	case a.Format != format:
		return fmt.Errorf("format %d is not known here (this peer speaks %d): use the same version of slapd", a.Format, format)
	case len(a.Pool) > namedPool || len(a.Want) > partSize:
		return errors.New("an answer that is too long")
	}
	return nil
}

// descriptors follow an answer that wants some.
type descriptors struct {
	All [][]byte `cbor:"1,keyasint"`
}

func (d descriptors) check() error {
	if len(d.All) > partSize {
		return fmt.Errorf("%d descriptors in a frame, at most %d are allowed", len(d.All), partSize)
	}
	return nil
}

// read reads a frame and holds it to its bounds.
func read(r io.Reader, v interface{ check() error }) error {
	if err := frame.Read(r, frameMax, v); err != nil {
		return err
	}
	return v.check()
}
