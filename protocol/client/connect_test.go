package client_test

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/client"
	"github.com/slapmesh/slapmesh/protocol/protocoltest"
)

func connecting(t *testing.T) *client.Client {
	t.Helper()
	c := serve(t, protocoltest.New().As("ann", true))
	if _, err := c.Request(t.Context(), protocol.RequestInput{Reference: "db1", Release: "mariadb"}); err != nil {
		t.Fatal(err)
	}
	_, err := protocol.Wait(t.Context(), c, protocol.Ref{Reference: "db1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A connection through client and server carries bytes both ways, ends one
// direction at a time, and passes a reset on.
func TestConnect(t *testing.T) {
	c := connecting(t)
	ref := protocol.Ref{Reference: "db1"}
	conn, err := c.Connect(t.Context(), ref, protocol.ConnectInput{Port: "mysql"})
	if err != nil {
		t.Fatal(err)
	}
	sent := bytes.Repeat([]byte("0123456789"), 100_000)
	go func() {
		_, _ = conn.Write(sent)
		_ = conn.CloseWrite()
	}()
	if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes back, %v", len(got), err)
	}
	_ = conn.Close()

	if conn, err = c.Connect(t.Context(), ref, protocol.ConnectInput{}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "reset"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after a reset: %v", err)
	}
	conn.Reset()
}

func TestConnectRefused(t *testing.T) {
	c := connecting(t)
	for _, tc := range []struct {
		reference, port string
		code            protocol.Code
	}{
		{"nothing", "", protocol.ErrNotFound},
		{"db1", "22", protocol.ErrNotFound},
	} {
		if _, err := c.Connect(t.Context(), protocol.Ref{Reference: tc.reference}, protocol.ConnectInput{Port: tc.port}); protocol.CodeOf(err) != tc.code {
			t.Errorf("%s %s: %v", tc.reference, tc.port, err)
		}
	}
}
