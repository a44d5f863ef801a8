package ledger

import (
	"cmp"
	"maps"
	"slices"

	"github.com/fxamacker/cbor/v2"
)

type rawCBOR = cbor.RawMessage

// What one list and one map may hold.
const (
	maxElements = 1 << 20
	maxPairs    = 1 << 16
)

// encoding and decoding are the one byte form of everything that is logged,
// sent or hashed: CBOR in core deterministic encoding, times as RFC 3339 in
// UTC with nanoseconds. What is read must not hold a key twice, a field that
// this version does not know, or more than a command may carry.
var (
	encoding = must(cbor.EncOptions{
		Sort:          cbor.SortCoreDeterministic,
		ShortestFloat: cbor.ShortestFloat16,
		NaNConvert:    cbor.NaNConvert7e00,
		InfConvert:    cbor.InfConvertFloat16,
		IndefLength:   cbor.IndefLengthForbidden,
		Time:          cbor.TimeRFC3339NanoUTC,
		TagsMd:        cbor.TagsForbidden,
	}.EncMode())

	decoding = must(decOptions(cbor.ExtraDecErrorUnknownField).DecMode())
	lenient  = must(decOptions(cbor.ExtraDecErrorNone).DecMode())
)

func decOptions(extra cbor.ExtraDecErrorCond) cbor.DecOptions {
	return cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: extra,
		MaxNestedLevels:   16,
		MaxArrayElements:  maxElements,
		MaxMapPairs:       maxPairs,
	}
}

func must[M any](mode M, err error) M {
	if err != nil {
		panic("ledger: " + err.Error()) // the options are constants
	}
	return mode
}

func encode(v any) ([]byte, error)    { return encoding.Marshal(v) }
func decode(data []byte, v any) error { return decoding.Unmarshal(data, v) }

// mustEncode encodes a record of our own, which cannot fail.
func mustEncode(v any) []byte {
	data, err := encode(v)
	if err != nil {
		panic("ledger: " + err.Error())
	}
	return data
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
