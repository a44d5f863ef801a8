package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/slapmesh/slapmesh/partition/store"
)

// A unit is what one source is asked for at a time: some small files, or one
// large one.
type unit struct {
	wants []store.Want
	// giver is who gave what there is of a large file. More than one, or an
	// earlier attempt, is nobody: then nobody is to blame if it is wrong.
	giver string
}

const (
	largeFile  = 1 << 20
	unitBytes  = 2 << 20
	unitFiles  = 256
	nobodyOnly = "\x00" // more than one
)

// split makes units of what is missing.
func split(wants []store.Want) []unit {
	var out []unit
	var some unit
	bytes := int64(0)
	for _, w := range wants {
		if w.Entry.Size > largeFile {
			u := unit{wants: []store.Want{w}}
			if w.Have > 0 {
				u.giver = nobodyOnly
			}
			out = append(out, u)
			continue
		}
		if len(some.wants) == unitFiles || bytes+w.Entry.Size > unitBytes {
			out, some, bytes = append(out, some), unit{}, 0
		}
		some.wants = append(some.wants, w)
		bytes += w.Entry.Size
	}
	if len(some.wants) > 0 {
		out = append(out, some)
	}
	return out
}

// A board has the units that nobody has taken.
type board struct {
	mu    sync.Mutex
	cond  *sync.Cond
	open  []unit
	taken int
	err   error // why it cannot be finished
	last  error // of a source
}

func newBoard(units []unit) *board {
	b := &board{open: units}
	b.cond = sync.NewCond(&b.mu)
	return b
}

// take waits for a unit; there is none when all are done.
func (b *board) take() (unit, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case b.err != nil, len(b.open) == 0 && b.taken == 0:
			return unit{}, false
		case len(b.open) > 0:
			u := b.open[0]
			b.open = b.open[1:]
			b.taken++
			return u, true
		}
		b.cond.Wait()
	}
}

func (b *board) done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken--
	b.cond.Broadcast()
}

// back returns a unit that could not be had.
func (b *board) back(u unit, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = append(b.open, u)
	b.taken--
	b.last = err
	b.cond.Broadcast()
}

func (b *board) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
	}
	b.cond.Broadcast()
}

// end says why not all came, if so.
func (b *board) end() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil:
		return b.err
	case len(b.open) > 0:
		return fmt.Errorf("every peer that had it was lost; what has come is kept for the next attempt: %w", b.last)
	}
	return nil
}

// A fetching is one tree on its way.
type fetching struct {
	client   *Client
	key      string
	receiver *store.Receiver
	size     int64
	sources  int
	work     *board

	bytes  atomic.Int64
	banned sync.Map // of sources: gave what is wrong
}

// give takes units from one source over one stream until all are done or the
// source is no good.
func (f *fetching) give(ctx context.Context, s *session) {
	defer s.close()
	for failures := 0; ; {
		if _, banned := f.banned.Load(s.source.Name); banned {
			return
		}
		u, ok := f.work.take()
		if !ok {
			return
		}
		err := f.reopen(ctx, s)
		if err == nil {
			u, err = f.take(s, u)
		}
		if err == nil {
			f.work.done()
			failures = 0
			continue
		}
		s.close()
		f.work.back(u, fmt.Errorf("peer %s: %w", s.source.Name, err))
		_, wrong := errors.AsType[*store.WrongError](err)
		_, full := errors.AsType[*store.FullError](err)
		switch {
		case full:
			f.work.fail(err)
			return
		case wrong:
			f.banned.Store(s.source.Name, true)
			f.client.log().Warn("a peer gave something else than the release that it offered", "peer", s.source.Name, "err", err)
			return
		case ctx.Err() != nil, failures == retries:
			return
		}
		failures++
		if pause(ctx, failures) != nil {
			return
		}
	}
}

// reopen makes sure that there is a stream, for the same tree.
func (f *fetching) reopen(ctx context.Context, s *session) error {
	if s.conn != nil {
		return nil
	}
	again, err := f.client.open(ctx, s.source, f.key)
	if err != nil {
		return err
	}
	if again.tree != s.tree {
		again.close()
		return errors.New("it offers another tree now")
	}
	*s = *again
	return nil
}

// take brings one unit, or says what is left of it.
func (f *fetching) take(s *session, u unit) (unit, error) {
	if len(u.wants) == 1 && u.wants[0].Entry.Size > largeFile {
		return f.takeLarge(s, u)
	}
	r := request{Pieces: make([]piece, len(u.wants))}
	total := int64(0)
	for n, w := range u.wants {
		r.Pieces[n] = piece{Index: w.Index, Length: w.Entry.Size}
		total += w.Entry.Size
	}
	if err := errors.Join(allow(s.conn, f.client.Clock, total), send(s.conn, r)); err != nil {
		return u, err
	}
	for len(u.wants) > 0 {
		w := u.wants[0]
		if err := f.takeSmall(s, w); err != nil {
			return u, err
		}
		f.bytes.Add(w.Entry.Size)
		u.wants = u.wants[1:]
	}
	return u, nil
}

func (f *fetching) takeSmall(s *session, w store.Want) error {
	in, err := f.receiver.Open(w)
	if err != nil {
		return err
	}
	if in.Have() > 0 {
		err = in.Restart()
	}
	if err == nil {
		_, err = io.CopyN(in, s.conn, w.Entry.Size)
	}
	if err == nil {
		err = in.Finish()
	}
	return errors.Join(err, in.Close())
}

// takeLarge brings a large file piece by piece, from where it is.
func (f *fetching) takeLarge(s *session, u unit) (unit, error) {
	w := u.wants[0]
	in, err := f.receiver.Open(w)
	if err != nil {
		return u, err
	}
	defer func() { _ = in.Close() }()
	for {
		switch {
		case in.Have() == 0:
			u.giver = s.source.Name
		case u.giver != s.source.Name:
			u.giver = nobodyOnly
		}
		had := in.Have()
		for in.Have() < w.Entry.Size {
			p := piece{Index: w.Index, Offset: in.Have(), Length: min(pieceSize, w.Entry.Size-in.Have())}
			if err := errors.Join(allow(s.conn, f.client.Clock, p.Length), send(s.conn, request{Pieces: []piece{p}})); err != nil {
				return u, err
			}
			n, err := io.CopyN(in, s.conn, p.Length)
			f.bytes.Add(n)
			if err != nil {
				return u, err
			}
		}
		err := in.Finish()
		if err == nil {
			return u, nil
		}
		f.bytes.Add(-w.Entry.Size)
		if _, wrong := errors.AsType[*store.WrongError](err); !wrong || had == 0 || u.giver != nobodyOnly {
			return u, err
		}
		// Some of it was given by somebody else: all of it once more, from here.
	}
}
