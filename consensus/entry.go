package consensus

import (
	"errors"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// What a group may be at most, whatever the configuration. Decoders hold
// entries to it.
const (
	maxGroup      = 1 << 16
	maxGroupBytes = 64 << 20
)

// entryVersion is the format of the entries written now.
const entryVersion = 1

// An entry is what one raft entry carries: a group of commands, stamped by the
// leader. In the log it is CBOR in core deterministic encoding, a map with the
// keys below.
type entry struct {
	Version  uint64   `cbor:"1,keyasint"`
	Nanos    int64    `cbor:"2,keyasint"` // since 1970, UTC
	Commands [][]byte `cbor:"3,keyasint"`
}

func (e entry) at() time.Time { return time.Unix(0, e.Nanos).UTC() }

// A codec encodes and decodes entries.
type codec struct {
	enc cbor.EncMode
	dec cbor.DecMode
}

func newCodec() (codec, error) {
	enc, encErr := cbor.CoreDetEncOptions().EncMode()
	dec, decErr := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		MaxArrayElements: maxGroup,
		MaxMapPairs:      16,
		MaxNestedLevels:  4,
	}.DecMode()
	return codec{enc, dec}, errors.Join(encErr, decErr)
}

func (c codec) encode(at time.Time, commands [][]byte) ([]byte, error) {
	return c.enc.Marshal(entry{entryVersion, at.UnixNano(), commands})
}

// decode reads an entry. It refuses what encode cannot have written, but for
// keys that a later version may add under the same version number.
func (c codec) decode(data []byte) (entry, error) {
	var e entry
	if err := c.dec.Unmarshal(data, &e); err != nil {
		return e, fmt.Errorf("malformed: %w", err)
	}
	if e.Version != entryVersion {
		return e, fmt.Errorf("version %d, want %d", e.Version, entryVersion)
	}
	if len(e.Commands) == 0 {
		return e, errors.New("no commands")
	}
	return e, nil
}
