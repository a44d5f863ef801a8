package client

import (
	"context"
	"net/http"

	"github.com/slapmesh/slapmesh/protocol"
)

// Tree implements [protocol.Trees].
func (c *Client) Tree(ctx context.Context, ref protocol.Ref) (out []protocol.Instance, err error) {
	err = c.call(ctx, http.MethodGet, path("instances", ref.Reference, "tree"), account(ref), nil, &out)
	return out, err
}

// Rename implements [protocol.Trees].
func (c *Client) Rename(ctx context.Context, ref protocol.Ref, in protocol.RenameInput) (out protocol.Instance, err error) {
	err = c.call(ctx, http.MethodPost, path("instances", ref.Reference, "rename"), account(ref), in, &out)
	return out, err
}

// Bang implements [protocol.Trees].
func (c *Client) Bang(ctx context.Context, ref protocol.Ref, in protocol.BangInput) (out protocol.Instance, err error) {
	err = c.call(ctx, http.MethodPost, path("instances", ref.Reference, "bang"), account(ref), in, &out)
	return out, err
}

// Move implements [protocol.Trees].
func (c *Client) Move(ctx context.Context, ref protocol.Ref, in protocol.MoveInput) (out protocol.Instance, err error) {
	err = c.call(ctx, http.MethodPost, path("instances", ref.Reference, "move"), account(ref), in, &out)
	return out, err
}

// Destroy implements [protocol.Trees].
func (c *Client) Destroy(ctx context.Context, ref protocol.Ref, keep string) (out protocol.Instance, err error) {
	in := protocol.StateInput{State: protocol.RequestDestroyed, Keep: keep}
	err = c.call(ctx, http.MethodPut, path("instances", ref.Reference, "state"), account(ref), in, &out)
	return out, err
}
