package supervisor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// protocolVersion is raised when a message changes its meaning. A supervisor
// may be older or newer than the daemon that speaks to it.
const protocolVersion = 1

// maxFrame bounds one message: a Spec with all its contents, and room.
const maxFrame = MaxContents + 4<<20

// The calls. Each takes a connection of its own.
const (
	callApply  = "apply"  // Spec -> one reply
	callStatus = "status" // -> one reply with Status
	callWatch  = "watch"  // -> replies with Status, the first at once, then at each change
	callExec   = "exec"   // Exec, then frames with data -> frames with data, then one with Done
	callStop   = "stop"   // Grace -> one reply when all has ended; then the supervisor exits

	callDial     = "dial"     // Address -> one reply, with a connection to it
	callListen   = "listen"   // Address -> one reply, with a listener at it
	callUnlisten = "unlisten" // Address -> one reply
	callServe    = "serve"    // From and Address, with a listener -> one reply
	callUnserve  = "unserve"  // From and Address -> one reply
	callNetwork  = "network"  // -> one reply with Network

	callPack   = "pack"   // -> frames with data, then one with Done
	callUnpack = "unpack" // frames with data, then one with Done -> one reply
)

// A request is the first message on a connection.
type request struct {
	Version int           `cbor:"1,keyasint"`
	Call    string        `cbor:"2,keyasint"`
	Spec    *Spec         `cbor:"3,keyasint,omitempty"`
	Exec    *execRequest  `cbor:"4,keyasint,omitempty"`
	Grace   time.Duration `cbor:"5,keyasint,omitempty"`
	Address string        `cbor:"6,keyasint,omitempty"` // ADDRESS:PORT inside
	From    string        `cbor:"7,keyasint,omitempty"` // see [Entrance]
	UDP     bool          `cbor:"8,keyasint,omitempty"` // of dial and listen; otherwise TCP
}

// An execRequest asks to run a command inside.
type execRequest struct {
	Argv []string `cbor:"1,keyasint"`
	Env  []string `cbor:"2,keyasint,omitempty"`

	// Terminal is its size, if the command gets one.
	Terminal *Size `cbor:"3,keyasint,omitempty"`
}

// A reply is any later message, in either direction.
type reply struct {
	Error  string  `cbor:"1,keyasint,omitempty"`
	Status *Status `cbor:"2,keyasint,omitempty"`
	Stream stream  `cbor:"3,keyasint,omitempty"` // with Data; no Data means end of stream
	Data   []byte  `cbor:"4,keyasint,omitempty"`
	Done   bool    `cbor:"5,keyasint,omitempty"`
	Code   int     `cbor:"6,keyasint,omitempty"` // with Done, of exec
	Size   *Size   `cbor:"7,keyasint,omitempty"` // the terminal's, from now on

	Network *Network `cbor:"8,keyasint,omitempty"`
}

// A stream is one of a command's three.
type stream uint8

const (
	streamNone stream = iota
	streamIn
	streamOut
	streamErr
)

// encoding gives one value one byte form; decoding refuses what no supervisor
// or daemon of ours sends.
var (
	encoding = must(cbor.EncOptions{
		Sort: cbor.SortCoreDeterministic, Time: cbor.TimeRFC3339Nano, IndefLength: cbor.IndefLengthForbidden,
	}.EncMode())
	decoding = must(cbor.DecOptions{
		MaxNestedLevels: 8, MaxArrayElements: 4096, MaxMapPairs: 64,
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // constant options, wrong on the first start or never
	}
	return v
}

// writeFrame sends v behind its length.
func writeFrame(w io.Writer, v any) error {
	body, err := encoding.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	if len(body) > maxFrame {
		return fmt.Errorf("encode message: %d bytes: more than %d", len(body), maxFrame)
	}
	frame := append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body))), body...)
	_, err = w.Write(frame)
	return err
}

// readFrame receives one message into v. At a clean end it returns io.EOF.
func readFrame(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > maxFrame {
		return fmt.Errorf("read message: %d bytes: not between 1 and %d", n, maxFrame)
	}
	body, err := io.ReadAll(io.LimitReader(r, int64(n))) // grows as bytes come, so a lie about n costs nothing
	if err != nil {
		return fmt.Errorf("read message: %w", err)
	}
	if len(body) < int(n) {
		return fmt.Errorf("read message: %w", io.ErrUnexpectedEOF)
	}
	if err := decoding.Unmarshal(body, v); err != nil {
		return fmt.Errorf("read message: %w", err)
	}
	return nil
}

// unknownCall is what a supervisor says that is older than its caller.
const unknownCall = "unknown to this supervisor"

// failure turns a reply's error text back into an error.
func (r reply) failure() error {
	if r.Error == "" {
		return nil
	}
	if r.Error == ErrStopping.Error() {
		return ErrStopping
	}
	if strings.Contains(r.Error, unknownCall) {
		return fmt.Errorf("%w: %s", ErrUnknownCall, r.Error)
	}
	return errors.New(r.Error)
}

// A Size is that of a terminal, in characters. Zero is unknown.
type Size struct {
	Rows    uint16 `cbor:"1,keyasint"`
	Columns uint16 `cbor:"2,keyasint"`
}

// A frameWriter lets several streams share a connection.
type frameWriter struct {
	mu   sync.Mutex
	conn io.Writer
}

func (w *frameWriter) send(r reply) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return writeFrame(w.conn, r)
}

func (w *frameWriter) copy(s stream, from io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && w.send(reply{Stream: s, Data: buf[:n]}) != nil || err != nil {
			return
		}
	}
}

// errLate is what a check that takes too long says.
var errLate = errors.New("no answer in time")

// plain drops the addresses from a network error.
func plain(err error) error {
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return errLate
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}
