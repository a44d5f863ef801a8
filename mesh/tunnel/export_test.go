package tunnel

// What the tests need to see from inside.
var (
	EncodeHeader = encodeHeader
	ReadHeader   = readHeader
)
