package client

import (
	"context"
	"net/http"

	"github.com/slapmesh/slapmesh/protocol"
)

// Status implements [protocol.Fleet].
func (c *Client) Status(ctx context.Context) (out protocol.Status, err error) {
	err = c.call(ctx, http.MethodGet, path("status"), nil, nil, &out)
	return out, err
}

// Members implements [protocol.Fleet].
func (c *Client) Members(ctx context.Context) (out []protocol.Member, err error) {
	err = c.call(ctx, http.MethodGet, path("members"), nil, nil, &out)
	return out, err
}

// SetRole implements [protocol.Fleet].
func (c *Client) SetRole(ctx context.Context, peer string, role protocol.Role) (out protocol.Member, err error) {
	err = c.call(ctx, http.MethodPut, path("members", peer, "role"), nil, protocol.RoleInput{Role: role}, &out)
	return out, err
}

// RemoveMember implements [protocol.Fleet].
func (c *Client) RemoveMember(ctx context.Context, peer string) error {
	return c.call(ctx, http.MethodDelete, path("members", peer), nil, nil, nil)
}

// Computers implements [protocol.Fleet].
func (c *Client) Computers(ctx context.Context) (out []protocol.Computer, err error) {
	err = c.call(ctx, http.MethodGet, path("computers"), nil, nil, &out)
	return out, err
}

// Leave implements [protocol.Fleet].
func (c *Client) Leave(ctx context.Context, in protocol.LeaveInput) error {
	return c.call(ctx, http.MethodPost, path("leave"), nil, in, nil)
}
