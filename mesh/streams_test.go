package mesh_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
)

// pair returns both ends of a stream from one peer to another, or to itself.
func pair(t *testing.T, from, to *peer, l net.Listener) (a, b net.Conn) {
	t.Helper()
	a, err := from.Dial(context.Background(), to.Self(), mesh.KindTunnel)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	if mesh.PeerOf(b) != from.Self() || mesh.PeerOf(a) != to.Self() {
		t.Errorf("ends are %s and %s", mesh.PeerOf(a), mesh.PeerOf(b))
	}
	return a, b
}

// TestStream holds streams between peers, and of a peer to itself, to what
// network code expects of a net.Conn.
func TestStream(t *testing.T) {
	for name, f := range map[string]func(t *testing.T, a, b net.Conn){
		"half-close": func(t *testing.T, a, b net.Conn) {
			t.Helper()
			_, _ = io.WriteString(a, "question")
			if err := a.(mesh.HalfCloser).CloseWrite(); err != nil {
				t.Error(err)
			}
			if got, err := io.ReadAll(b); string(got) != "question" || err != nil {
				t.Errorf("read %q, %v", got, err)
			}
			_, _ = io.WriteString(b, "answer")
			_ = b.Close()
			if got, err := io.ReadAll(a); string(got) != "answer" || err != nil {
				t.Errorf("read %q, %v", got, err)
			}
			if _, err := a.Write([]byte("more")); err == nil {
				t.Error("written after CloseWrite")
			}
		},
		"reset": func(t *testing.T, a, b net.Conn) {
			t.Helper()
			a.(mesh.HalfCloser).Reset()
			if _, err := b.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read: %v", err)
			}
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("read at the closed end: %v", err)
			}
		},
		"deadlines": func(t *testing.T, a, _ net.Conn) {
			t.Helper()
			_ = a.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read: %v", err)
			}
			_ = a.SetReadDeadline(time.Time{})
			_ = a.SetWriteDeadline(time.Now().Add(time.Second))
			var err error
			for n := 0; err == nil && n < 64<<20; n += 1 << 20 { // until it holds up
				_, err = a.Write(make([]byte, 1<<20))
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("write: %v", err)
			}
		},
		"close unblocks": func(t *testing.T, a, _ net.Conn) {
			t.Helper()
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
					t.Errorf("read: %v", err)
				}
			})
			wg.Go(func() {
				if _, err := a.Write(make([]byte, 64<<20)); err == nil {
					t.Error("written in full")
				}
			})
			time.Sleep(time.Second)
			_ = a.Close()
			wg.Wait()
		},
		"bulk": func(t *testing.T, a, b net.Conn) {
			t.Helper()
			data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
			go func() {
				_, _ = a.Write(data)
				_ = a.Close()
			}()
			if got, err := io.ReadAll(b); !bytes.Equal(got, data) || err != nil {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
		},
	} {
		for _, to := range []int{1, 0} {
			t.Run(name+map[int]string{1: " to another", 0: " to itself"}[to], func(t *testing.T) {
				inBubble(t, func(w *world) {
					t := w.t
					peers := w.start(2)
					peers[0].untilAlive(t, 2)
					l := peers[to].Listen(mesh.KindTunnel)
					a, b := pair(t, peers[0], peers[to], l)
					f(t, a, b)
					if err := errors.Join(a.Close(), b.Close(), l.Close()); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// Streams that were closed at one end only do not count as open for ever: the
// credit for new ones comes back.
func TestStreamCreditComesBack(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		peers := w.start(2)
		peers[0].untilAlive(t, 2)
		l := peers[1].Listen(mesh.KindTunnel)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write([]byte("unread"))
				_ = c.Close()
			}
		}()
		for i := range 5000 { // more than may be open at a time
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			c, err := peers[0].Dial(ctx, peers[1].Self(), mesh.KindTunnel)
			cancel()
			if err != nil {
				t.Fatalf("stream %d: %v", i, err)
			}
			_ = c.Close()
		}
		time.Sleep(time.Second)
		if n := peers[0].Streams() + peers[1].Streams(); n != 0 {
			t.Errorf("%d streams are open", n)
		}
	})
}

// Who may open what is decided by role, which the mesh asks for each stream.
func TestStreamsAreAuthorised(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		voters := map[mesh.PeerID]bool{}
		c := w.config()
		c.Authorize = func(id mesh.PeerID, kind mesh.Kind) error {
			if kind == mesh.KindRaft && !voters[id] {
				return errors.New("not a voter")
			}
			return nil
		}
		server, voter, computer := w.open(c), w.open(w.config()), w.open(w.config())
		voters[voter.Self()] = true
		server.echo(mesh.KindRaft)
		server.echo(mesh.KindRPC)
		voter.AddSeeds(server.Seeds())
		computer.AddSeeds(server.Seeds())
		for _, p := range []*peer{voter, computer} {
			p.untilAlive(t, 3)
			if _, err := say(context.Background(), p, server.Self(), mesh.KindRPC, "x"); err != nil {
				t.Errorf("rpc: %v", err)
			}
		}
		if _, err := say(context.Background(), voter, server.Self(), mesh.KindRaft, "x"); err != nil {
			t.Errorf("raft of a voter: %v", err)
		}
		if _, err := say(context.Background(), computer, server.Self(), mesh.KindRaft, "x"); !errors.Is(err, mesh.ErrForbidden) {
			t.Errorf("raft of a computer: %v", err)
		}
		if _, err := say(context.Background(), voter, server.Self(), mesh.KindTunnel, "x"); !errors.Is(err, mesh.ErrNobody) {
			t.Errorf("tunnel: %v", err)
		}
		if _, err := say(context.Background(), voter, server.Self(), mesh.Kind(99), "x"); !errors.Is(err, mesh.ErrNobody) {
			t.Errorf("kind 99: %v", err)
		}
		if server.Streams() != 0 {
			t.Errorf("%d streams are left", server.Streams())
		}
	})
}

// Plain net/http runs over the streams, as between daemons.
func TestHTTPOverStreams(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		peers := w.start(2)
		peers[0].untilAlive(t, 2)
		server := &http.Server{
			Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(rw, "hello "+r.RemoteAddr)
			}),
		}
		done := make(chan error)
		go func() { done <- server.Serve(peers[1].Listen(mesh.KindRPC)) }()
		client := &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return peers[0].Dial(ctx, peers[1].Self(), mesh.KindRPC)
			},
		}}
		for range 3 {
			request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://peer/", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if string(body) != "hello "+string(peers[0].Self()) {
				t.Errorf("body %q", body)
			}
		}
		client.CloseIdleConnections()
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

func TestDialErrors(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		p := w.start(1)[0]
		_, err := p.Dial(context.Background(), newIdentity(t).ID(), mesh.KindRPC)
		if err == nil || !strings.Contains(err.Error(), "no address is known") {
			t.Errorf("unknown peer: %v", err)
		}
		l := p.Listen(mesh.KindRPC)
		if _, err := p.Listen(mesh.KindRPC).Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second listener: %v", err)
		}
		c, err := p.Dial(context.Background(), p.Self(), mesh.KindRPC)
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("stream that was never accepted: %v", err)
		}
		p.stop()
		if _, err := p.Dial(context.Background(), p.Self(), mesh.KindRPC); err == nil {
			t.Error("dialled after Close")
		}
	})
}

// A burst of many more streams than are accepted at a time is no attack: who
// opens them waits for its turn, and none is reset.
func TestBurstOfStreams(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		peers := w.start(2)
		for _, p := range peers {
			p.untilAlive(t, 2)
		}
		peers[0].echo(mesh.KindTunnel)
		const many = 3000
		results := make(chan error, many)
		for range many {
			go func() {
				for {
					word, err := say(t.Context(), peers[1], peers[0].Self(), mesh.KindTunnel, "hello")
					if errors.Is(err, mesh.ErrBusy) { // the queue of its kind is full: it is asked again
						time.Sleep(10 * time.Millisecond)
						continue
					}
					if err == nil && word != "hello" {
						err = errors.New(word)
					}
					results <- err
					return
				}
			}()
		}
		for range many {
			if err := <-results; err != nil {
				t.Fatal(err)
			}
		}
	})
}
