package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
)

// A Dialer opens a stream of mesh.KindTunnel to a peer.
type Dialer func(ctx context.Context, peer mesh.PeerID) (net.Conn, error)

// Dial connects to the instance at an address through the peer that hosts it,
// and returns once the instance has accepted. ctx bounds that, not the
// connection, which has CloseWrite and Reset as streams of package mesh do.
// A refusal matches ErrForbidden, ErrDown or ErrBusy.
func Dial(ctx context.Context, dial Dialer, peer mesh.PeerID, want Want) (net.Conn, error) {
	stream, err := open(ctx, dial, peer, want)
	if err != nil {
		return nil, err
	}
	undisturbed := context.AfterFunc(ctx, stream.Reset)
	err = stream.hear()
	if !undisturbed() {
		err = context.Cause(ctx)
	}
	if err != nil {
		stream.Reset()
		return nil, err
	}
	return stream, nil
}

// open opens a stream and says what is wanted. The answer is awaited by the
// first Read.
func open(ctx context.Context, dial Dialer, peer mesh.PeerID, want Want) (*answered, error) {
	ask, err := encodeHeader(want)
	if err != nil {
		return nil, err
	}
	stream, err := dialPatiently(ctx, dial, peer)
	if err != nil {
		return nil, err
	}
	if _, err := stream.Write(ask); err != nil {
		reset(stream)
		return nil, err
	}
	return &answered{Conn: stream}, nil
}

// A host that is asked for many connections at once takes some at a time: the
// others ask again, first after busyMin.
const (
	busyMin = 10 * time.Millisecond
	busyMax = 500 * time.Millisecond
)

// dialPatiently opens a stream, and asks a host that is busy again until ctx is
// done.
func dialPatiently(ctx context.Context, dial Dialer, peer mesh.PeerID) (net.Conn, error) {
	wait := busyMin
	for {
		stream, err := dial(ctx, peer)
		if !errors.Is(err, mesh.ErrBusy) {
			return stream, err
		}
		timer := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		case <-timer.C:
		}
		wait = min(2*wait, busyMax)
	}
}

// answered is a stream whose first byte is the host's answer.
type answered struct {
	net.Conn
	heard bool // owned by the reader
}

// hear reads the answer, and fails if it is no.
func (a *answered) hear() error {
	var answer [1]byte
	if _, err := io.ReadFull(a.Conn, answer[:]); err != nil {
		return fmt.Errorf("tunnel: no answer: %w", err)
	}
	a.heard = true
	if answer[0] == answerYes {
		return nil
	}
	if err, ok := errAnswer[answer[0]]; ok {
		return err
	}
	return fmt.Errorf("tunnel: unknown answer %d", answer[0])
}

// Read fails if the answer is no.
func (a *answered) Read(p []byte) (int, error) {
	if !a.heard {
		if err := a.hear(); err != nil {
			return 0, err
		}
	}
	return a.Conn.Read(p)
}

// CloseWrite is that of the stream.
func (a *answered) CloseWrite() error { return closeWrite(a.Conn) }

// Reset is that of the stream.
func (a *answered) Reset() { reset(a.Conn) }
