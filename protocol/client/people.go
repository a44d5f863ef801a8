package client

import (
	"context"
	"net/http"

	"github.com/slapmesh/slapmesh/protocol"
)

// CreateToken implements [protocol.People].
func (c *Client) CreateToken(ctx context.Context, in protocol.TokenInput) (out protocol.Token, err error) {
	err = c.call(ctx, http.MethodPost, path("tokens"), nil, in, &out)
	return out, err
}

// Tokens implements [protocol.People].
func (c *Client) Tokens(ctx context.Context) (out []protocol.Token, err error) {
	err = c.call(ctx, http.MethodGet, path("tokens"), nil, nil, &out)
	return out, err
}

// RevokeToken implements [protocol.People].
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, path("tokens", id), nil, nil, nil)
}
