package rest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// connectPatience bounds how long a connection may take to be made.
const connectPatience = 20 * time.Second

// connect turns the connection into frames that carry one to a port of an
// instance.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) error {
	if r.Header.Get("Upgrade") != protocol.ConnectProtocol {
		w.Header().Set("Upgrade", protocol.ConnectProtocol)
		return malformed(http.StatusUpgradeRequired, "connect: ask for \"Upgrade: %s\"", protocol.ConnectProtocol)
	}
	ctx, cancel := untilStop(r.Context())
	defer cancel()
	making, made := context.WithTimeout(ctx, connectPatience)
	defer made()
	instance, err := serviceOf(ctx).Connect(making, refOf(r), protocol.ConnectInput{Port: r.URL.Query().Get("port")})
	if err != nil {
		return err // while there is still a status to say it with
	}
	defer context.AfterFunc(ctx, instance.Reset)()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		instance.Reset()
		return fmt.Errorf("connect: %w", err)
	}
	s.sessions.Add(1)
	defer s.sessions.Done()
	_ = conn.SetDeadline(time.Time{})
	if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+protocol.ConnectProtocol+"\r\n\r\n"); err != nil {
		instance.Reset()
		_ = conn.Close()
		return nil //nolint:nilerr // gone already
	}
	protocol.Carry(protocol.Framed(conn, buffered), instance)
	return nil
}
