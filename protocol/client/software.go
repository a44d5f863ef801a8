package client

import (
	"context"
	"net/http"

	"github.com/slapmesh/slapmesh/protocol"
)

// Releases implements [protocol.Software].
func (c *Client) Releases(ctx context.Context) (out []protocol.Release, err error) {
	err = c.call(ctx, http.MethodGet, path("releases"), nil, nil, &out)
	return out, err
}

// Publish implements [protocol.Software].
func (c *Client) Publish(ctx context.Context, in protocol.PublishInput) (out protocol.Release, err error) {
	err = c.call(ctx, http.MethodPost, path("releases"), nil, in, &out)
	return out, err
}

// VerifyReleases implements [protocol.Software].
func (c *Client) VerifyReleases(ctx context.Context, in protocol.VerifyReleasesInput) (out []protocol.VerifiedTree, err error) {
	err = c.call(ctx, http.MethodPost, path("releases", "verify"), nil, in, &out)
	return out, err
}

// Supplies implements [protocol.Software].
func (c *Client) Supplies(ctx context.Context) (out []protocol.Supply, err error) {
	err = c.call(ctx, http.MethodGet, path("supplies"), nil, nil, &out)
	return out, err
}

// Supply implements [protocol.Software].
func (c *Client) Supply(ctx context.Context, in protocol.SupplyInput) (out protocol.Supply, err error) {
	err = c.call(ctx, http.MethodPost, path("supplies"), nil, in, &out)
	return out, err
}
