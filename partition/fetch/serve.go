package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/partition/store"
)

// A ServeConfig says what is given to whom. All but Streams is required.
type ServeConfig struct {
	Store *store.Store
	Clock func() time.Time

	// Find returns the tree of a key and the attestation of who built it, if
	// the peer at the other end may have it. Its error is told to that peer.
	Find func(ctx context.Context, to net.Conn, key string) (attestation []byte, tree string, err error)

	Log *slog.Logger

	// Streams is how many are served at once. Default 64.
	Streams int
}

// Serve gives trees away until ctx is done.
func Serve(ctx context.Context, l net.Listener, cfg ServeConfig) error {
	if cfg.Streams == 0 {
		cfg.Streams = 64
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	places := make(chan struct{}, cfg.Streams)
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("serve trees: %w", err)
		}
		select {
		case places <- struct{}{}:
		default:
			_ = c.Close() // too many: whoever asks has others to ask, or asks again
			continue
		}
		wg.Go(func() {
			defer func() { <-places }()
			ended := context.AfterFunc(ctx, func() { _ = c.Close() })
			defer ended()
			if err := serve(ctx, c, cfg); err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
				cfg.Log.Debug("a peer's fetch ended", "peer", c.RemoteAddr().String(), "err", err)
			}
			_ = c.Close()
		})
	}
}

// serve gives one tree to one peer.
func serve(ctx context.Context, c net.Conn, cfg ServeConfig) error {
	if err := allow(c, cfg.Clock, 0); err != nil {
		return err
	}
	var h hello
	if err := receive(c, maxHello, &h); err != nil {
		return err
	}
	attestation, tree, err := cfg.Find(ctx, c, h.Key)
	if err != nil {
		why := err.Error()
		return errors.Join(send(c, offer{Refusal: why[:min(len(why), maxRefusal)]}), err)
	}
	encoded, manifest, err := cfg.Store.EncodedManifest(tree)
	if err != nil {
		return errors.Join(send(c, offer{Refusal: "the tree came to harm here"}), err)
	}
	if err := send(c, offer{Attestation: attestation, Manifest: int64(len(encoded))}); err != nil {
		return err
	}
	for {
		if err := allow(c, cfg.Clock, 0); err != nil {
			return err
		}
		var r request
		if err := receive(c, maxRequest, &r); err != nil {
			return err
		}
		if r.Manifest {
			if err := allow(c, cfg.Clock, int64(len(encoded))); err != nil {
				return err
			}
			if _, err := c.Write(encoded); err != nil {
				return err
			}
			continue
		}
		if err := give(c, cfg, tree, manifest, r.Pieces); err != nil {
			return err
		}
	}
}

// give writes pieces of files, if all of them are sound.
func give(c net.Conn, cfg ServeConfig, tree string, m store.Manifest, pieces []piece) error {
	total := int64(0)
	for _, p := range pieces {
		if p.Index < 0 || p.Index >= len(m) || m[p.Index].Kind != store.File || p.Length < 0 || p.Length > maxBytes ||
			p.Offset < 0 || p.Offset > m[p.Index].Size-p.Length {
			return fmt.Errorf("fetch: piece %d of %d bytes from %d is not there", p.Index, p.Length, p.Offset)
		}
		total += p.Length
	}
	if len(pieces) == 0 || total > maxBytes {
		return fmt.Errorf("fetch: %d pieces of %d bytes: 1 to %d of at most %d expected", len(pieces), total, maxPieces, maxBytes)
	}
	if err := allow(c, cfg.Clock, total); err != nil {
		return err
	}
	for _, p := range pieces {
		if err := giveOne(c, cfg.Store, tree, m[p.Index], p); err != nil {
			return err
		}
	}
	return nil
}

func giveOne(c net.Conn, s *store.Store, tree string, e store.Entry, p piece) error {
	f, err := s.OpenFile(tree, e)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	n, err := io.Copy(c, io.NewSectionReader(f, p.Offset, p.Length))
	if err == nil && n != p.Length {
		err = fmt.Errorf("fetch: %s: %w", e.Path, io.ErrUnexpectedEOF)
	}
	return err
}
