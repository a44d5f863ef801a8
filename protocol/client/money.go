package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/slapmesh/slapmesh/protocol"
)

// Prices implements [protocol.Money].
func (c *Client) Prices(ctx context.Context) (out []protocol.Price, err error) {
	err = c.call(ctx, http.MethodGet, path("prices"), nil, nil, &out)
	return out, err
}

// SetPrice implements [protocol.Money].
func (c *Client) SetPrice(ctx context.Context, in protocol.PriceInput) (out protocol.Price, err error) {
	err = c.call(ctx, http.MethodPost, path("prices"), nil, in, &out)
	return out, err
}

// Statement implements [protocol.Money].
func (c *Client) Statement(ctx context.Context, account string) (out protocol.Statement, err error) {
	query := url.Values{}
	if account != "" {
		query.Set("account", account)
	}
	err = c.call(ctx, http.MethodGet, path("statement"), query, nil, &out)
	return out, err
}

// Pay implements [protocol.Money].
func (c *Client) Pay(ctx context.Context, in protocol.PaymentInput) (out protocol.Statement, err error) {
	err = c.call(ctx, http.MethodPost, path("payments"), nil, in, &out)
	return out, err
}

// SetLimit implements [protocol.Money].
func (c *Client) SetLimit(ctx context.Context, in protocol.LimitInput) (out protocol.Statement, err error) {
	err = c.call(ctx, http.MethodPost, path("limits"), nil, in, &out)
	return out, err
}

// ReviewBill implements [protocol.Money].
func (c *Client) ReviewBill(ctx context.Context, in protocol.ReviewInput) (out protocol.Bill, err error) {
	err = c.call(ctx, http.MethodPost, path("reviews"), nil, in, &out)
	return out, err
}

// Terms implements [protocol.Money].
func (c *Client) Terms(ctx context.Context) (out protocol.Terms, err error) {
	err = c.call(ctx, http.MethodGet, path("terms"), nil, nil, &out)
	return out, err
}

// SetTerms implements [protocol.Money].
func (c *Client) SetTerms(ctx context.Context, in protocol.Terms) (out protocol.Terms, err error) {
	err = c.call(ctx, http.MethodPut, path("terms"), nil, in, &out)
	return out, err
}
