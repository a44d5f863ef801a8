package client

import (
	"context"
	"net/http"

	"github.com/slapmesh/slapmesh/protocol"
)

// Quote implements [protocol.Instances].
func (c *Client) Quote(ctx context.Context, in protocol.RequestInput) (out protocol.Quote, err error) {
	if err := in.Check(); err != nil {
		return out, err
	}
	err = c.call(ctx, http.MethodPost, path("quotes"), nil, in, &out)
	return out, err
}
