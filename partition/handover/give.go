package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"time"
)

// system names the kind of computer whose programs wrote the data: those of
// another may not read it.
func system() string { return runtime.GOOS + "/" + runtime.GOARCH }

// A Content is the data of an instance, and its secrets.
type Content struct {
	Secrets map[string]string
	Archive func(ctx context.Context, w io.Writer) error // writes a tar archive
}

// A Giver says what is given to whom. All is required.
type Giver struct {
	// Find returns the data of an instance, if it may be given to the peer at
	// the other end for the instance that it names. While the data is not
	// whole yet it returns why.
	Find func(ctx context.Context, to net.Conn, instance, successor uint64) (content Content, wait string, err error)

	Clock func() time.Time
	Rest  func(context.Context) error // between two calls of Find: a few seconds
	Log   *slog.Logger
}

// maxGiven is how many instances are given away at once.
const maxGiven = 4

// Serve gives data away until ctx is done.
func (g Giver) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	places := make(chan struct{}, maxGiven)
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("hand over instances: %w", err)
		}
		wg.Go(func() {
			ended := context.AfterFunc(ctx, func() { _ = c.Close() })
			defer ended()
			defer func() { _ = c.Close() }()
			if err := g.give(ctx, c, places); err != nil && ctx.Err() == nil {
				g.Log.Warn("an instance could not be handed over", "peer", c.RemoteAddr().String(), "err", err)
			}
		})
	}
}

// give hands over one instance.
func (g Giver) give(ctx context.Context, c net.Conn, places chan struct{}) error {
	var a ask
	if err := receive(c, g.Clock, maxAsk, &a); err != nil {
		return err
	}
	content, err := g.await(ctx, c, a, places)
	if err != nil {
		why := err.Error()
		return errors.Join(err, send(c, g.Clock, answer{Refusal: why[:min(len(why), maxReason)]}))
	}
	defer func() { <-places }()
	if err := send(c, g.Clock, answer{System: system(), Secrets: pairsOf(content.Secrets)}); err != nil {
		return err
	}
	w := newWriter(c, g.Clock)
	if err := content.Archive(ctx, w); err != nil {
		return err
	}
	if err := w.end(); err != nil {
		return err
	}
	var done answer // who takes closes the stream when it has all
	if err := receive(c, g.Clock, maxAsk, &done); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// await returns what is to be given once it is there and a place is free,
// which the caller frees.
func (g Giver) await(ctx context.Context, c net.Conn, a ask, places chan struct{}) (Content, error) {
	for {
		content, wait, err := g.Find(ctx, c, a.Instance, a.For)
		if err != nil {
			return content, err
		}
		if wait == "" {
			select {
			case places <- struct{}{}:
				return content, nil
			default:
				wait = "other instances leave before"
			}
		}
		if err := send(c, g.Clock, answer{Wait: wait[:min(len(wait), maxReason)]}); err != nil {
			return content, err
		}
		if err := g.Rest(ctx); err != nil {
			return content, err
		}
	}
}
