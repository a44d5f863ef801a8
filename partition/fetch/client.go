package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/partition/store"
)

// A Source is a peer that may have a tree.
type Source struct {
	Name string
	Dial func(context.Context) (net.Conn, error)
}

// A Client takes trees from peers. All but Log is required.
type Client struct {
	Store *store.Store
	Clock func() time.Time

	// Accept returns the tree that an attestation of a key is about, if
	// whoever signed it is believed.
	Accept func(key string, attestation []byte) (tree string, err error)

	Log *slog.Logger // default: nothing
}

// A Progress is how far a fetch is.
type Progress struct {
	Bytes, Size int64 // that are there, of all
	Rate        int64 // bytes a second
	Sources     int   // that give
}

// ErrNone says that no source has what is wanted, or that none that has it is
// believed.
var ErrNone = errors.New("no source has it")

const (
	// maxSources is how many give at once, and streamsEach over how many
	// streams each: while one waits for an answer another one receives.
	maxSources  = 6
	streamsEach = 2
	// maxAsked bounds how many are asked at all.
	maxAsked = 24
	// lateness is how long others are waited for once somebody has it.
	lateness = 2 * time.Second
	// retries is how often a source that was lost is tried again at once.
	retries = 3
)

// Fetch brings the tree of a key into the store. What came before an error
// stays there, and the next attempt goes on with it. Progress is told to report,
// which may be nil, by one goroutine at a time.
func (c *Client) Fetch(ctx context.Context, key string, sources []Source, report func(Progress)) (store.Tree, []byte, error) {
	found, err := c.ask(ctx, key, sources)
	if err != nil {
		return store.Tree{}, nil, err
	}
	defer func() {
		for _, s := range found {
			s.close()
		}
	}()
	first := found[0]
	if tree, err := c.Store.Tree(first.tree); err == nil {
		return tree, first.attestation, nil // another release has the same
	}
	r, err := c.receive(ctx, found)
	if err != nil {
		return store.Tree{}, nil, err
	}
	defer r.Close()
	f := &fetching{client: c, key: key, receiver: r, size: r.Size(), sources: len(found)}
	tree, err := f.all(ctx, found, report)
	if _, full := errors.AsType[*store.FullError](err); full {
		err = errors.Join(err, r.Discard())
	}
	return tree, first.attestation, err
}

// mends is how often what had come to harm on disk, before it was in use, is
// fetched anew.
const mends = 2

// all fetches what is missing until the tree is whole. What the store had
// already is read when the tree is made: if it came to harm there, or was
// collected meanwhile, it is missing after all.
func (f *fetching) all(ctx context.Context, found []*session, report func(Progress)) (store.Tree, error) {
	for mended := 0; ; mended++ {
		if err := f.run(ctx, found, report); err != nil {
			return store.Tree{}, err
		}
		tree, err := f.receiver.Commit(ctx)
		if _, wrong := errors.AsType[*store.WrongError](err); !wrong || mended == mends {
			return tree, err
		}
		f.client.log().Warn("what a release needs came to harm on disk: fetching it anew", "err", err)
	}
}

// A session is a stream to a source that offers the tree.
type session struct {
	source      Source
	conn        net.Conn
	attestation []byte
	tree        string
	manifest    int64
	lost        bool // it did not even give the manifest
	stop        func() bool
}

func (s *session) close() {
	if s.conn != nil {
		s.stop()
		_ = s.conn.Close()
		s.conn = nil
	}
}

// open asks one source.
func (c *Client) open(ctx context.Context, source Source, key string) (*session, error) {
	dial, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := source.Dial(dial)
	if err != nil {
		return nil, err
	}
	s := &session{source: source, conn: conn, stop: context.AfterFunc(ctx, func() { _ = conn.Close() })}
	var o offer
	err = errors.Join(allow(conn, c.Clock, 0), send(conn, hello{key}))
	if err == nil {
		err = receive(conn, maxOffer, &o)
	}
	switch {
	case err != nil:
	case o.Refusal != "":
		err = fmt.Errorf("%w: %.200q", ErrNone, o.Refusal)
	case o.Manifest < 1 || o.Manifest > maxManifest:
		err = fmt.Errorf("a manifest of %d bytes, 1 to %d expected", o.Manifest, maxManifest)
	default:
		s.attestation, s.manifest = o.Attestation, o.Manifest
		s.tree, err = c.Accept(key, o.Attestation)
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("peer %s: %w", source.Name, err)
	}
	return s, nil
}

// ask finds those who have the tree. If they have several, it is the one that
// most of them have.
func (c *Client) ask(ctx context.Context, key string, sources []Source) ([]*session, error) {
	type answer struct {
		session *session
		err     error
	}
	sources = sources[:min(len(sources), maxAsked)]
	answers := make(chan answer, len(sources))
	for _, source := range sources {
		go func() {
			s, err := c.open(ctx, source, key)
			answers <- answer{s, err}
		}()
	}
	waiting := len(sources)
	defer func() { // who is late is not needed
		go func() {
			for range waiting {
				if a := <-answers; a.session != nil {
					a.session.close()
				}
			}
		}()
	}()
	byTree := map[string][]*session{}
	var late <-chan time.Time
	errs := []error{ErrNone}
	for waiting > 0 {
		select {
		case a := <-answers:
			waiting--
			if a.err != nil {
				c.log().Debug("a peer does not give a tree", "err", a.err)
				errs = append(errs, a.err)
				continue
			}
			if late == nil {
				timer := time.NewTimer(lateness)
				defer timer.Stop()
				late = timer.C
			}
			byTree[a.session.tree] = append(byTree[a.session.tree], a.session)
			continue
		case <-late:
		case <-ctx.Done():
		}
		break
	}
	var best []*session
	for _, group := range byTree {
		if len(group) > len(best) || len(group) == len(best) && group[0].tree < best[0].tree {
			best = group
		}
	}
	keep := best[:min(len(best), maxSources)]
	for tree, group := range byTree {
		for n, s := range group {
			if tree != keep[0].tree || n >= len(keep) {
				s.close()
			}
		}
	}
	switch {
	case ctx.Err() != nil:
		for _, s := range keep {
			s.close()
		}
		return nil, ctx.Err()
	case len(keep) == 0:
		return nil, errors.Join(errs[:min(len(errs), 4)]...)
	}
	return keep, nil
}

// receive has the first source that can give the manifest.
func (c *Client) receive(ctx context.Context, found []*session) (*store.Receiver, error) {
	var errs []error
	for _, s := range found {
		data := make([]byte, s.manifest)
		err := errors.Join(allow(s.conn, c.Clock, s.manifest), send(s.conn, request{Manifest: true}))
		if err == nil {
			_, err = io.ReadFull(s.conn, data)
		}
		if err == nil {
			r, rerr := c.Store.Receive(ctx, s.tree, data)
			if _, wrong := errors.AsType[*store.WrongError](rerr); !wrong {
				return r, rerr
			}
			err = rerr
		}
		s.close()
		s.lost = true
		errs = append(errs, fmt.Errorf("peer %s: manifest: %w", s.source.Name, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func (c *Client) log() *slog.Logger {
	return cmp.Or(c.Log, slog.New(slog.DiscardHandler))
}

// pause waits before a source is tried again, longer each time and never
// exactly as long as others do.
func pause(ctx context.Context, failures int) error {
	d := 200 * time.Millisecond << failures
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tell reports progress until the fetch has ended.
func (f *fetching) tell(ended <-chan struct{}, report func(Progress)) {
	begin, before := f.client.Clock(), f.bytes.Load()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			bytes := f.bytes.Load()
			rate := float64(bytes-before) / f.client.Clock().Sub(begin).Seconds()
			report(Progress{bytes, f.size, int64(rate), f.sources})
		}
	}
}

// run fetches all that is missing, from all sessions at once.
func (f *fetching) run(ctx context.Context, found []*session, report func(Progress)) error {
	wants, err := f.receiver.Wants(ctx)
	if err != nil {
		return err
	}
	missing := int64(0)
	for _, w := range wants {
		missing += w.Entry.Size
	}
	f.bytes.Store(f.size - missing)
	f.work = newBoard(split(wants))
	ended := make(chan struct{})
	var telling, working sync.WaitGroup
	if report != nil {
		telling.Go(func() { f.tell(ended, report) })
	}
	stop := context.AfterFunc(ctx, func() { f.work.fail(ctx.Err()) })
	var streams []*session
	for _, s := range found {
		if s.lost {
			continue
		}
		streams = append(streams, s)
		for range streamsEach - 1 {
			streams = append(streams, &session{source: s.source, tree: s.tree})
		}
	}
	for _, s := range streams { // from now on each is its goroutine's
		working.Go(func() { f.give(ctx, s) })
	}
	working.Wait()
	stop()
	close(ended)
	telling.Wait()
	return f.work.end()
}
