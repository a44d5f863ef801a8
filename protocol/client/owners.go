package client

import (
	"context"
	"net/http"

	"github.com/slapmesh/slapmesh/protocol"
)

// SetComputer implements [protocol.Owners].
func (c *Client) SetComputer(ctx context.Context, in protocol.ComputerInput) (out protocol.Computer, err error) {
	if err := in.Check(); err != nil {
		return out, err
	}
	err = c.call(ctx, http.MethodPost, path("computers", "set"), nil, in, &out)
	return out, err
}

// DrainComputer implements [protocol.Owners].
func (c *Client) DrainComputer(ctx context.Context, in protocol.DrainInput) (out protocol.Computer, err error) {
	err = c.call(ctx, http.MethodPost, path("computers", "drain"), nil, in, &out)
	return out, err
}

// EmptyComputer implements [protocol.Owners].
func (c *Client) EmptyComputer(ctx context.Context, in protocol.EmptyInput) (out []protocol.Leaving, err error) {
	err = c.call(ctx, http.MethodPost, path("computers", "empty"), nil, in, &out)
	return out, err
}

// RetireComputer implements [protocol.Owners].
func (c *Client) RetireComputer(ctx context.Context, in protocol.RetireInput) (out protocol.Computer, err error) {
	err = c.call(ctx, http.MethodPost, path("computers", "retire"), nil, in, &out)
	return out, err
}

// GiveComputer implements [protocol.Owners].
func (c *Client) GiveComputer(ctx context.Context, in protocol.GiveInput) (out protocol.Computer, err error) {
	err = c.call(ctx, http.MethodPost, path("computers", "give"), nil, in, &out)
	return out, err
}
