package meter

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/slapmesh/slapmesh/ledger"
)

// A file is a line that says what it is, the SHA-256 of the rest, and CBOR.
const (
	checkpointHeader = "slapmesh meter checkpoint 1\n"
	reportHeader     = "slapmesh meter report 1\n"
)

// errDamaged says that a file is not as it was written.
var errDamaged = errors.New("damaged")

// A checkpoint is all that the meter knows.
type checkpoint struct {
	Mesh     string                       `cbor:"1,keyasint"`
	Computer ledger.ComputerID            `cbor:"2,keyasint"`
	Open     period                       `cbor:"3,keyasint"`
	Samples  map[ledger.InstanceID]sample `cbor:"4,keyasint,omitempty"` // the last of each instance
	Closed   *ledger.SignedUsage          `cbor:"5,keyasint,omitempty"` // the report before, if it may not be in the spool
}

var (
	encoding = must(cbor.EncOptions{
		Sort:        cbor.SortCoreDeterministic,
		IndefLength: cbor.IndefLengthForbidden,
		Time:        cbor.TimeRFC3339NanoUTC,
		TagsMd:      cbor.TagsForbidden,
	}.EncMode())

	decoding = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   16,
		MaxArrayElements:  maxTasks,
		MaxMapPairs:       1 << 16,
	}.DecMode())
)

func must[M any](mode M, err error) M {
	if err != nil {
		panic("meter: " + err.Error()) // the options are constants
	}
	return mode
}

// pack returns the content of a file.
func pack(header string, v any) ([]byte, error) {
	body, err := encoding.Marshal(v)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return append(append([]byte(header), sum[:]...), body...), nil
}

// unpack reads the content of a file into v.
func unpack(header string, data []byte, v any) error {
	rest, ok := bytes.CutPrefix(data, []byte(header))
	if !ok {
		return fmt.Errorf("the file does not begin with %q: %w", header, errDamaged)
	}
	if len(rest) < sha256.Size {
		return fmt.Errorf("the file ends early: %w", errDamaged)
	}
	sum := sha256.Sum256(rest[sha256.Size:])
	if !bytes.Equal(sum[:], rest[:sha256.Size]) {
		return fmt.Errorf("the checksum is wrong: %w", errDamaged)
	}
	if err := decoding.Unmarshal(rest[sha256.Size:], v); err != nil {
		return fmt.Errorf("%w: %w", err, errDamaged)
	}
	return nil
}

// unpackCheckpoint reads a checkpoint that makes sense.
func unpackCheckpoint(data []byte) (checkpoint, error) {
	var c checkpoint
	if err := unpack(checkpointHeader, data, &c); err != nil {
		return checkpoint{}, err
	}
	p := c.Open
	if p.Number == 0 || p.Opened < 0 || p.length() < 0 || c.Closed != nil && p.Number < 2 {
		return checkpoint{}, fmt.Errorf("period %d from %v to %v: %w", p.Number, p.Opened, p.Now, errDamaged)
	}
	for id, s := range c.Samples {
		if err := s.Reading.check(); err != nil {
			return checkpoint{}, fmt.Errorf("instance %v: %w: %w", id, err, errDamaged)
		}
	}
	return c, nil
}
