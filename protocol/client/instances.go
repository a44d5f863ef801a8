package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"github.com/slapmesh/slapmesh/protocol"
)

// Request implements [protocol.Instances].
func (c *Client) Request(ctx context.Context, in protocol.RequestInput) (out protocol.Instance, err error) {
	if err := in.Check(); err != nil {
		return out, err
	}
	err = c.call(ctx, http.MethodPost, path("instances"), nil, in, &out)
	return out, err
}

// Instances implements [protocol.Instances].
func (c *Client) Instances(ctx context.Context, q protocol.InstanceQuery) (out []protocol.Instance, err error) {
	if q.Reference != "" {
		one, err := c.Instance(ctx, protocol.Ref{Reference: q.Reference, Account: q.Account})
		return []protocol.Instance{one}, err
	}
	err = c.call(ctx, http.MethodGet, path("instances"), queryOf(q), nil, &out)
	return out, err
}

// Instance implements [protocol.Instances].
func (c *Client) Instance(ctx context.Context, ref protocol.Ref) (out protocol.Instance, err error) {
	err = c.call(ctx, http.MethodGet, path("instances", ref.Reference), account(ref), nil, &out)
	return out, err
}

// SetState implements [protocol.Instances].
func (c *Client) SetState(ctx context.Context, ref protocol.Ref, state protocol.RequestedState) (out protocol.Instance, err error) {
	err = c.call(ctx, http.MethodPut, path("instances", ref.Reference, "state"), account(ref), protocol.StateInput{State: state}, &out)
	return out, err
}

// Watch implements [protocol.Instances].
func (c *Client) Watch(ctx context.Context, q protocol.InstanceQuery) iter.Seq2[protocol.Instance, error] {
	return func(yield func(protocol.Instance, error) bool) {
		if err := c.watch(ctx, q, yield); err != nil {
			yield(protocol.Instance{}, err)
		}
	}
}

// watch passes events on until yield has enough, which is no error.
func (c *Client) watch(ctx context.Context, q protocol.InstanceQuery, yield func(protocol.Instance, error) bool) error {
	at, query := path("instances"), queryOf(q)
	if q.Reference != "" {
		at = path("instances", q.Reference)
	}
	query.Set("watch", "true")
	return follow(ctx, c, at, query, "instance", yield)
}

func queryOf(q protocol.InstanceQuery) url.Values {
	v := account(protocol.Ref{Account: q.Account})
	if q.All {
		v.Set("all", "true")
	}
	return v
}

func account(ref protocol.Ref) url.Values {
	v := url.Values{}
	if ref.Account != "" {
		v.Set("account", ref.Account)
	}
	return v
}
