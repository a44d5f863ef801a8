package journal

import "github.com/fxamacker/cbor/v2"

// encoding and decoding are the one byte form of all that is hashed, stored
// or sent: CBOR in core deterministic encoding. What is read must not hold a
// key twice, a field that this version does not know, or too much.
var (
	encoding = must(cbor.EncOptions{
		Sort:          cbor.SortCoreDeterministic,
		ShortestFloat: cbor.ShortestFloat16,
		NaNConvert:    cbor.NaNConvert7e00,
		InfConvert:    cbor.InfConvertFloat16,
		IndefLength:   cbor.IndefLengthForbidden,
		TagsMd:        cbor.TagsForbidden,
	}.UserBufferEncMode())

	decoding = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   4,
		MaxArrayElements:  1 << 14,
		MaxMapPairs:       1 << 5,
	}.DecMode())
)

func must[M any](mode M, err error) M {
	if err != nil {
		panic("journal: " + err.Error()) // the options are constants
	}
	return mode
}
