package handover_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/partition/handover"
)

// giveTo serves what find says at one end of a pipe, and returns the other.
func giveTo(t *testing.T, g handover.Giver) net.Conn {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.Clock, g.Log = time.Now, slog.New(slog.DiscardHandler)
	if g.Rest == nil {
		g.Rest = func(context.Context) error { return nil }
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestHandover(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 30_000)
	asked := 0
	c := giveTo(t, handover.Giver{Find: func(_ context.Context, _ net.Conn, instance, successor uint64) (handover.Content, string, error) {
		if instance != 3 || successor != 4 {
			t.Errorf("asked for %d for %d", instance, successor)
		}
		if asked++; asked < 3 {
			return handover.Content{}, "it stops", nil
		}
		return handover.Content{Secrets: map[string]string{"b": "2", "a": "1"}, Archive: func(_ context.Context, w io.Writer) error {
			_, err := w.Write(data)
			return err
		}}, "", nil
	}})
	var waits []string
	taken, err := handover.Take(t.Context(), c, time.Now, 3, 4, func(why string) { waits = append(waits, why) })
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(taken)
	if err := errors.Join(err, taken.Close()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, data) || strings.Join(waits, ", ") != "it stops, it stops" || len(taken.Secrets) != 2 || taken.Secrets["b"] != "2" {
		t.Errorf("%d bytes, waited for %q, secrets %v", len(got), waits, taken.Secrets)
	}
}

// What is refused says why, and what breaks off is no whole.
func TestHandoverFails(t *testing.T) {
	c := giveTo(t, handover.Giver{Find: func(context.Context, net.Conn, uint64, uint64) (handover.Content, string, error) {
		return handover.Content{}, "", errors.New("not for you")
	}})
	if _, err := handover.Take(t.Context(), c, time.Now, 1, 2, nil); err == nil || !strings.Contains(err.Error(), "refused there: not for you") {
		t.Errorf("refusal: %v", err)
	}
	c = giveTo(t, handover.Giver{Find: func(context.Context, net.Conn, uint64, uint64) (handover.Content, string, error) {
		return handover.Content{Archive: func(_ context.Context, w io.Writer) error {
			_, err := w.Write([]byte("half"))
			return errors.Join(err, errors.New("the disk broke"))
		}}, "", nil
	}})
	taken, err := handover.Take(t.Context(), c, time.Now, 1, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	if got, err := io.ReadAll(taken); err == nil {
		t.Errorf("%q, and no error", got)
	}
}

// Whatever somebody sends instead of data ends in an error.
func FuzzTake(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x00\x00\x03\xa1\x01\x61"))
	f.Add([]byte("\x00\x00\x00\x0f\xa1\x03\x6blinux/amd64\x00\x00\x00\x02ab\x00\x00\x00\x00 and no hash"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		ours, theirs := net.Pipe()
		go func() {
			go func() { _, _ = io.Copy(io.Discard, theirs) }()
			_, _ = theirs.Write(wire)
			_ = theirs.Close()
		}()
		taken, err := handover.Take(t.Context(), ours, time.Now, 1, 2, func(string) {})
		if err != nil {
			return
		}
		if _, err := io.ReadAll(taken); err == nil && !bytes.Contains(wire, make([]byte, 4)) {
			t.Error("an end was read that is not there")
		}
		_ = taken.Close()
	})
}
