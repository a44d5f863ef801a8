package fetch_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/slapmesh/slapmesh/partition/fetch"
	"github.com/slapmesh/slapmesh/partition/store"
)

const key = "build-of-something"

func open(tb testing.TB, dir string) *store.Store {
	tb.Helper()
	s, err := store.Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// build makes a tree of many small files and one that takes several pieces.
func build(tb testing.TB, s *store.Store, large int) store.Tree {
	tb.Helper()
	c, err := s.Compose()
	if err != nil {
		tb.Fatal(err)
	}
	defer c.Close()
	content := rand.NewChaCha8([32]byte{7})
	for n := range 300 {
		small := make([]byte, n*12)
		_, _ = content.Read(small)
		if err := c.Write(fmt.Sprintf("usr/share/%03d", n), small, n%7 == 0); err != nil {
			tb.Fatal(err)
		}
	}
	big := make([]byte, large)
	_, _ = content.Read(big)
	err = errors.Join(c.Write("usr/bin/server", big, true), c.Write("usr/bin/again", big, true),
		c.Write("etc/empty", nil, false), c.Symlink("bin", "usr/bin"), c.Mkdir("var/lib"))
	if err != nil {
		tb.Fatal(err)
	}
	tree, err := c.Commit()
	if err != nil {
		tb.Fatal(err)
	}
	return tree
}

// A giver is a source that serves a store, and what it does to the bytes.
type giver struct {
	name  string
	twist func(net.Conn) net.Conn // nil: nothing
	bytes atomic.Int64            // that it gave
	once  bool                    // it answers one call only
	calls atomic.Int64
}

// source serves s whenever it is dialled.
func (g *giver) source(tb testing.TB, s *store.Store, tree string) fetch.Source {
	tb.Helper()
	return fetch.Source{Name: g.name, Dial: func(ctx context.Context) (net.Conn, error) {
		if g.calls.Add(1) > 1 && g.once {
			return nil, errors.New("nobody answers")
		}
		here, there := net.Pipe()
		l := &oneListener{conn: make(chan net.Conn, 1)}
		l.conn <- there
		find := func(_ context.Context, _ net.Conn, got string) ([]byte, string, error) {
			if got != key {
				return nil, "", errors.New("the ledger does not order it")
			}
			return []byte(tree), tree, nil
		}
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		tb.Cleanup(cancel)
		go func() {
			_ = fetch.Serve(ctx, l, fetch.ServeConfig{Store: s, Clock: time.Now, Find: find, Log: slog.New(slog.DiscardHandler)})
		}()
		var c net.Conn = &counted{Conn: here, to: &g.bytes}
		if g.twist != nil {
			c = g.twist(c)
		}
		return c, nil
	}}
}

type oneListener struct{ conn chan net.Conn }

func (l *oneListener) Accept() (net.Conn, error) {
	c, ok := <-l.conn
	if !ok {
		return nil, net.ErrClosed
	}
	close(l.conn)
	return c, nil
}
func (l *oneListener) Close() error   { return nil }
func (l *oneListener) Addr() net.Addr { return &net.UnixAddr{} }

type counted struct {
	net.Conn
	to *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.to.Add(int64(n))
	return n, err
}

func believe(_ string, attestation []byte) (string, error) {
	if len(attestation) != 64 {
		return "", errors.New("signed by nobody who is known")
	}
	return string(attestation), nil
}

// A cut connection ends after so many bytes.
type cut struct {
	net.Conn
	left int
}

func (c *cut) Read(p []byte) (int, error) {
	if c.left <= 0 {
		_ = c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

func cutAfter(n int) func(net.Conn) net.Conn {
	return func(c net.Conn) net.Conn { return &cut{c, n} }
}

// A bent connection changes one byte.
type bent struct {
	net.Conn
	at int
}

func (c *bent) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.at >= 0 && c.at < n {
		p[c.at] ^= 1
	}
	c.at -= n
	return n, err
}

func TestFetch(t *testing.T) {
	const large = 9 << 20
	from := open(t, t.TempDir())
	tree := build(t, from, large)
	manifest, _, err := from.EncodedManifest(tree.Digest)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		givers []*giver
		err    string
	}{
		"one":                      {[]*giver{{name: "a"}}, ""},
		"several":                  {[]*giver{{name: "a"}, {name: "b"}, {name: "c"}}, ""},
		"one vanishes":             {[]*giver{{name: "a", twist: cutAfter(len(manifest) + 300000)}, {name: "b"}}, ""},
		"one comes and goes":       {[]*giver{{name: "a", twist: cutAfter(5 << 20)}}, ""},
		"one gives wrong bytes":    {[]*giver{{name: "a", twist: bend(len(manifest) + 300000)}, {name: "b"}}, ""},
		"a wrong manifest":         {[]*giver{{name: "a", twist: bend(2000)}, {name: "b"}}, ""},
		"one falls silent":         {[]*giver{{name: "a", twist: silentAfter(len(manifest) + 200000)}, {name: "b"}}, ""},
		"all vanish":               {[]*giver{{name: "a", twist: cutAfter(len(manifest) + 300000)}}, "every peer that had it was lost"},
		"all give wrong bytes":     {[]*giver{{name: "a", twist: bend(len(manifest) + 300000)}}, "what came is not what the manifest says"},
		"nobody":                   {nil, fetch.ErrNone.Error()},
		"one who was never heard":  {[]*giver{{name: "a", twist: cutAfter(0)}}, fetch.ErrNone.Error()},
		"one whose word is no use": {[]*giver{{name: "a", twist: endless}}, fetch.ErrNone.Error()},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := open(t, t.TempDir())
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var sources []fetch.Source
				for _, g := range test.givers {
					sources = append(sources, g.source(t, from, tree.Digest))
				}
				c := fetch.Client{Store: to, Clock: time.Now, Accept: believe}
				var last fetch.Progress
				got, attestation, err := c.Fetch(ctx, key, sources, func(p fetch.Progress) { last = p })
				cancel()
				if test.err != "" {
					if err == nil || !strings.Contains(err.Error(), test.err) {
						t.Errorf("error %v, want %q", err, test.err)
					}
					if _, err := to.Tree(tree.Digest); err == nil {
						t.Error("a tree that is not whole is there")
					}
					return
				}
				if err != nil || got.Digest != tree.Digest || string(attestation) != tree.Digest {
					t.Fatalf("got %v %q (%v)", got, attestation, err)
				}
				if err := to.Verify(t.Context(), tree.Digest); err != nil {
					t.Error(err)
				}
				if last.Bytes > last.Size {
					t.Errorf("progress %+v", last)
				}
				total := int64(0)
				for _, g := range test.givers {
					total += g.bytes.Load()
				}
				if name == "several" && total > large*3/2 {
					t.Errorf("%d bytes were given for a file of %d that two names share", total, large)
				}
				if left, _ := filepath.Glob(filepath.Join(to.Dir(), "partial", "*")); len(left) > 0 {
					t.Errorf("left: %v", left)
				}
			})
		})
	}
}

func bend(at int) func(net.Conn) net.Conn {
	return func(c net.Conn) net.Conn { return &bent{c, at} }
}

// A mute connection says nothing any more after so many bytes, and stays open.
type mute struct {
	net.Conn
	after int
	hang  net.Conn
}

func silentAfter(n int) func(net.Conn) net.Conn {
	return func(c net.Conn) net.Conn {
		hang, _ := net.Pipe()
		return &mute{Conn: c, after: n, hang: hang}
	}
}

func (m *mute) Read(p []byte) (int, error) {
	if m.after <= 0 {
		return m.hang.Read(p)
	}
	n, err := m.Conn.Read(p[:min(len(p), m.after)])
	m.after -= n
	return n, err
}

func (m *mute) SetDeadline(at time.Time) error {
	return errors.Join(m.hang.SetDeadline(at), m.Conn.SetDeadline(at))
}

func (m *mute) Close() error { return errors.Join(m.hang.Close(), m.Conn.Close()) }

// An endless connection never stops talking.
type endlessConn struct{ net.Conn }

func endless(c net.Conn) net.Conn { return endlessConn{c} }

func (endlessConn) Read(p []byte) (int, error) {
	for n := range p {
		p[n] = 0xff
	}
	return len(p), nil
}

// TestResume holds that what came is not fetched again, unless it came to harm.
func TestResume(t *testing.T) {
	const large = 9 << 20
	from := open(t, t.TempDir())
	tree := build(t, from, large)
	for name, harm := range map[string]bool{"as it was": false, "a bit flipped meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := open(t, t.TempDir())
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				c := fetch.Client{Store: to, Clock: time.Now, Accept: believe}
				attempts, given := 0, int64(0)
				for ; attempts < 20; attempts++ {
					g := &giver{name: "a", twist: cutAfter(3 << 20), once: true}
					_, _, err := c.Fetch(ctx, key, []fetch.Source{g.source(t, from, tree.Digest)}, nil)
					given += g.bytes.Load()
					if err == nil {
						break
					}
					if harm {
						parts, err := filepath.Glob(filepath.Join(to.Dir(), "partial", "*", "*"))
						if err != nil || len(parts) == 0 {
							t.Fatalf("parts: %v (%v)", parts, err)
						}
						flip(t, parts[len(parts)/2])
						harm = false
					}
				}
				cancel()
				if err := to.Verify(t.Context(), tree.Digest); err != nil {
					t.Errorf("after %d attempts: %v", attempts, err)
				}
				if attempts < 2 || given > 3*large {
					t.Errorf("%d attempts, %d bytes for %d", attempts+1, given, large)
				}
			})
		})
	}
}

// TestRotten holds that a bit that flipped in what a store shares between trees
// costs one file more, not the fetch.
func TestRotten(t *testing.T) {
	from := open(t, t.TempDir())
	tree := build(t, from, 2<<20)
	synctest.Test(t, func(t *testing.T) {
		to := open(t, t.TempDir())
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := fetch.Client{Store: to, Clock: time.Now, Accept: believe}
		for _, rotten := range []bool{false, true} {
			g := &giver{name: "a"}
			if rotten {
				kept, err := filepath.Glob(filepath.Join(to.Dir(), "file", "*", "*"))
				if err := errors.Join(err, to.RemoveTree(tree.Digest)); err != nil || len(kept) < 100 {
					t.Fatalf("%d files are shared (%v)", len(kept), err)
				}
				flip(t, kept[len(kept)/3])
			}
			if _, _, err := c.Fetch(ctx, key, []fetch.Source{g.source(t, from, tree.Digest)}, nil); err != nil {
				t.Fatal(err)
			}
			if err := to.Verify(t.Context(), tree.Digest); err != nil {
				t.Error(err)
			}
			if rotten && g.bytes.Load() > 1<<20 {
				t.Errorf("%d bytes came for one small file", g.bytes.Load())
			}
		}
		cancel()
	})
}

func flip(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err == nil && len(data) > 0 {
		data[len(data)/2] ^= 1
		_ = os.Chmod(name, 0o644)
		err = os.WriteFile(name, data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestServeRefuses is about those who ask for what there is not.
func TestServeRefuses(t *testing.T) {
	s := open(t, t.TempDir())
	tree := build(t, s, 1)
	g := &giver{name: "a"}
	source := g.source(t, s, tree.Digest)
	frame := func(v any) []byte {
		body, err := cbor.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	}
	hello := frame(map[int]any{1: key})
	for name, sent := range map[string][]byte{
		"another key":     frame(map[int]any{1: "build-of-another"}),
		"an endless key":  {0xff, 0xff, 0xff, 0xff},
		"no CBOR":         {0, 0, 0, 1, 0xff},
		"a folder":        append(bytes.Clone(hello), frame(map[int]any{2: []any{[]any{0, 0, 1}}})...),
		"before all":      append(bytes.Clone(hello), frame(map[int]any{2: []any{[]any{-1, 0, 1}}})...),
		"after all":       append(bytes.Clone(hello), frame(map[int]any{2: []any{[]any{1 << 30, 0, 1}}})...),
		"beyond the end":  append(bytes.Clone(hello), frame(map[int]any{2: []any{[]any{3, 1 << 40, 1}}})...),
		"a negative size": append(bytes.Clone(hello), frame(map[int]any{2: []any{[]any{3, 0, -1}}})...),
		"nothing":         append(bytes.Clone(hello), frame(map[int]any{})...),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := source.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			go func() { _, _ = c.Write(sent) }()
			got, err := io.ReadAll(c)
			if err != nil || len(got) > 300 {
				t.Errorf("it answered %d bytes (%v)", len(got), err)
			}
		})
	}
}

func FuzzWire(f *testing.F) {
	f.Add([]byte{0, 0, 0, 3, 0xa1, 1, 0xf5})
	f.Add([]byte{0, 0, 0, 6, 0xa1, 2, 0x81, 0x83, 0, 0})
	s, err := store.Open(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	tree := build(f, s, 1)
	f.Fuzz(func(t *testing.T, data []byte) {
		g := &giver{name: "a"}
		c, err := g.source(t, s, tree.Digest).Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = c.Write(data)
			_ = c.Close()
		}()
		_, _ = io.Copy(io.Discard, c)
	})
}
