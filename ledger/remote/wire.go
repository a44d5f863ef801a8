package remote

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"

	"github.com/fxamacker/cbor/v2"

	"github.com/slapmesh/slapmesh/ledger"
)

// The paths of the service.
const (
	pathPropose = "/ledger/v1/propose"
	pathWatch   = "/ledger/v1/watch"
	pathProfile = "/ledger/v1/profile/"
	pathQuote   = "/ledger/v1/quote"
)

// Bounds on what is read from another peer.
const (
	maxBatch      = 512     // commands in one call
	maxBatchBytes = 4 << 20 // of their data, but for a single larger command
	maxRun        = 1 << 20 // bytes of commands that are ordered together, but for a single larger one
	maxBody       = 8 << 20 // bytes of a call or an answer
	maxFrame      = 8 << 20 // bytes of a frame
	contentType   = "application/cbor"
)

// A call is the body of a propose.
type call struct {
	Items []item `cbor:"1,keyasint"`
}

// An item is one command and who asks it beside the peer: the bearer of the
// token with that digest, or nobody.
type item struct {
	Kind  string          `cbor:"1,keyasint"`
	Data  cbor.RawMessage `cbor:"2,keyasint"`
	Token []byte          `cbor:"3,keyasint,omitempty"`

	own bool // Data was encoded here
}

// An answer is what became of the items of a call, in their order.
type answer struct {
	Results []result `cbor:"1,keyasint"`
}

// A result is what became of one item. At most one of the last three is set;
// if none is, the ledger accepted the command.
type result struct {
	Index     uint64     `cbor:"1,keyasint,omitempty"`
	Reply     []byte     `cbor:"2,keyasint,omitempty"` // a refusal
	NotLeader *notLeader `cbor:"3,keyasint,omitempty"` // it was not proposed
	Fault     string     `cbor:"4,keyasint,omitempty"` // its fate is unknown
}

type notLeader struct {
	Leader ledger.PeerID `cbor:"1,keyasint,omitempty"` // whom to ask, if known
}

// readBody decodes the body of a call or an answer.
func readBody(body io.Reader, v any) error {
	data, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	if err != nil {
		return err
	}
	if len(data) > maxBody {
		return fmt.Errorf("more than %d bytes", maxBody)
	}
	return ledger.Unmarshal(data, v)
}

// writeFrame writes a frame: the length of its CBOR in four bytes, big end
// first, and the CBOR.
func writeFrame(w io.Writer, f ledger.Frame) error {
	data, err := ledger.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode frame: %w", err)
	}
	framed := append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(data)), uint32(len(data))), data...)
	_, err = w.Write(framed)
	return err
}

// readFrame reads what writeFrame wrote. It returns io.EOF if nothing is
// left, and io.ErrUnexpectedEOF if the frame is cut off.
func readFrame(r io.Reader) (f ledger.Frame, err error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return f, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxFrame {
		return f, fmt.Errorf("frame of %d bytes, at most %d", n, maxFrame)
	}
	data, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil {
		return f, err
	}
	if len(data) < int(n) {
		return f, io.ErrUnexpectedEOF
	}
	if err := ledger.Unmarshal(data, &f); err != nil {
		return f, fmt.Errorf("decode frame: %w", err)
	}
	return f, nil
}

// drain reads what is left of a body, so that its connection can be used
// again, and closes it.
func drain(resp *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16)) // best effort
	_ = resp.Body.Close()                                        // was only read
}
