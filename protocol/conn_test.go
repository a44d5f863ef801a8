package protocol_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// framedPair returns both ends of a connection over one that knows neither
// half-close nor reset.
func framedPair() (a, b protocol.Conn) {
	x, y := net.Pipe()
	return protocol.Framed(x, x), protocol.Framed(y, y)
}

func TestFramedCarriesEndsAndResets(t *testing.T) {
	a, b := framedPair()
	sent := bytes.Repeat([]byte("0123456789"), protocol.MaxFrame/3)
	go func() {
		_, _ = a.Write(sent)
		_ = a.CloseWrite()
	}()
	if got, err := io.ReadAll(b); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	go func() { _, _ = io.WriteString(b, "still open") }() // the other direction
	if got, err := io.ReadAll(io.LimitReader(a, 10)); err != nil || string(got) != "still open" {
		t.Fatalf("%q, %v", got, err)
	}
	go b.Reset()
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after a reset: %v", err)
	}
}

// A stream that breaks is no end.
func TestFramedBreaks(t *testing.T) {
	for _, cut := range []int{0, 3, 5, 7} {
		x, y := net.Pipe()
		go func() {
			frame := []byte{byte(protocol.FrameData), 0, 0, 0, 4, 'a', 'b', 'c', 'd'}
			_, _ = y.Write(frame[:cut])
			_ = y.Close()
		}()
		if got, err := io.ReadAll(protocol.Framed(x, x)); err == nil {
			t.Errorf("cut after %d bytes: read %q to a good end", cut, got)
		}
	}
}

// Who does not read does not keep a reset from happening.
func TestFramedResetWhileStuck(t *testing.T) {
	a, _ := framedPair()
	stuck := make(chan error)
	go func() {
		_, err := a.Write([]byte("nobody reads this"))
		stuck <- err
	}()
	time.Sleep(10 * time.Millisecond) // so that the Write is under way, as a rule
	a.Reset()
	if err := <-stuck; err == nil {
		t.Error("written to nobody")
	}
}

func TestCarry(t *testing.T) {
	near, a := framedPair()
	far, b := framedPair()
	done := make(chan struct{})
	go func() {
		protocol.Carry(a, b)
		close(done)
	}()
	go func() {
		_, _ = io.WriteString(near, "question")
		_ = near.CloseWrite()
	}()
	if got, err := io.ReadAll(far); err != nil || string(got) != "question" {
		t.Fatalf("%q, %v", got, err)
	}
	go func() {
		_, _ = io.WriteString(far, "answer")
		_ = far.CloseWrite()
	}()
	if got, err := io.ReadAll(near); err != nil || string(got) != "answer" {
		t.Fatalf("%q, %v", got, err)
	}
	<-done
}

func FuzzFramed(f *testing.F) {
	f.Add([]byte{byte(protocol.FrameData), 0, 0, 0, 1, 'x', byte(protocol.FrameEnd), 0, 0, 0, 0})
	f.Add([]byte{byte(protocol.FrameReset), 0, 0, 0, 0})
	f.Add([]byte{byte(protocol.FrameData), 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{byte(protocol.FrameStdout), 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		c := protocol.Framed(nopCloser{io.Discard}, bytes.NewReader(data))
		got, _ := io.ReadAll(c)
		if len(got) > len(data) {
			t.Errorf("%d bytes out of %d", len(got), len(data))
		}
	})
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func TestPort(t *testing.T) {
	good := protocol.Instance{
		Reference: "db1", RequestedState: protocol.RequestStarted, State: protocol.StateStarted, Address: "127.64.0.1",
		Ports: map[string]uint16{"mysql": 3306, "admin": 80},
	}
	one := map[string]uint16{"mysql": 3306}
	away := time.Now()
	dns := func(i *protocol.Instance) {
		i.Ports, i.UDPPorts = map[string]uint16{"dns": 53, "dns-udp": 53}, []string{"dns-udp"}
	}
	for _, tc := range []struct {
		name   string
		change func(*protocol.Instance)
		named  string
		want   string
		says   string
		code   protocol.Code
	}{
		{name: "by name", named: "mysql", want: "3306"},
		{name: "by number", named: "80", want: "80"},
		{name: "the only one", change: func(i *protocol.Instance) { i.Ports = one }, want: "3306"},
		{name: "which", says: "connect db1: which port? it has admin (80), mysql (3306)", code: protocol.ErrInvalid},
		{name: "unknown name", named: "http", says: `connect db1: no port "http": it has admin (80), mysql (3306)`, code: protocol.ErrNotFound},
		{name: "unknown number", named: "22", says: `no port "22": it has`, code: protocol.ErrNotFound},
		{name: "stopped", change: func(i *protocol.Instance) { i.RequestedState = protocol.RequestStopped }, says: "it is stopped: slapd start db1", code: protocol.ErrConflict},
		{
			name: "building", change: func(i *protocol.Instance) { i.State, i.Reason, i.Ports = protocol.StateBuilding, "unpacks 3 of 9", nil },
			says: "connect db1: it is not started yet but building: unpacks 3 of 9: see slapd show db1", code: protocol.ErrConflict,
		},
		{name: "destroyed", change: func(i *protocol.Instance) { i.State = protocol.StateDestroyed }, says: "it was destroyed", code: protocol.ErrNotFound},
		{name: "away", change: func(i *protocol.Instance) { i.Unreachable, i.ComputerName = &away, "attic" }, says: "its computer attic has not answered since", code: protocol.ErrUnavailable},
		{name: "of UDP, by name", change: func(i *protocol.Instance) { i.UDPPorts = []string{"admin"} }, named: "admin", want: "80/udp"},
		{name: "of UDP, by number", change: func(i *protocol.Instance) { i.UDPPorts = []string{"admin"} }, named: "80", want: "80/udp"},
		{name: "of both", change: dns, named: "53/udp", want: "53/udp"},
		{name: "of both, by number", change: dns, named: "53", want: "53"},
		{name: "none", change: func(i *protocol.Instance) { i.Ports = nil }, says: "it has no ports", code: protocol.ErrNotFound},
		{name: "shared", change: func(i *protocol.Instance) { i.Shared = true }, says: "it is shared", code: protocol.ErrConflict},
	} {
		i := good
		if tc.change != nil {
			tc.change(&i)
		}
		got, err := i.Port(tc.named)
		switch {
		case tc.says == "" && (err != nil || got.String() != tc.want):
			t.Errorf("%s: %s, %v", tc.name, got, err)
		case tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says) || protocol.CodeOf(err) != tc.code):
			t.Errorf("%s: %v (%s), want %q (%s)", tc.name, err, protocol.CodeOf(err), tc.says, tc.code)
		}
	}
}
