package client

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// Connect implements [protocol.Sessions].
func (c *Client) Connect(ctx context.Context, ref protocol.Ref, in protocol.ConnectInput) (protocol.Conn, error) {
	query := account(ref)
	if in.Port != "" {
		query.Set("port", in.Port)
	}
	r, err := c.request(ctx, http.MethodPost, path("instances", ref.Reference, "connect"), query, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", protocol.ConnectProtocol)
	// The connection is wanted for itself, which http.Client does not give.
	conn, err := c.dial(ctx, "", "")
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	undisturbed := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	buffered := bufio.NewReader(conn)
	if err = r.Write(conn); err == nil {
		var answer *http.Response
		if answer, err = http.ReadResponse(buffered, r); err == nil && answer.StatusCode != http.StatusSwitchingProtocols {
			defer conn.Close()        //nolint:errcheck // of no use any more
			defer answer.Body.Close() //nolint:errcheck // read only
			if answer.StatusCode >= http.StatusBadRequest {
				return nil, refusal(answer)
			}
			return nil, fmt.Errorf("connect: unexpected answer %s", answer.Status)
		}
	}
	if !undisturbed() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, c.unreachable(ctx, err)
	}
	return protocol.Framed(conn, buffered), nil
}
