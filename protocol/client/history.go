package client

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// VerifyHistory implements [protocol.History].
func (c *Client) VerifyHistory(ctx context.Context) iter.Seq2[protocol.Verification, error] {
	return func(yield func(protocol.Verification, error) bool) {
		if err := follow(ctx, c, path("history", "verification"), nil, "verification", yield); err != nil {
			yield(protocol.Verification{}, err)
		}
	}
}

// ExportHistory implements [protocol.History].
func (c *Client) ExportHistory(ctx context.Context, in protocol.ExportInput) (io.ReadCloser, error) {
	query := periodOf(in.Account, in.From, in.Until)
	query.Set("format", in.Format)
	r, err := c.request(ctx, http.MethodGet, path("history"), query, nil)
	if err != nil {
		return nil, err
	}
	answer, err := c.send(r)
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// HistoryEntry implements [protocol.History].
func (c *Client) HistoryEntry(ctx context.Context, n uint64) (out protocol.HistoryEntry, err error) {
	err = c.call(ctx, http.MethodGet, path("history", "entries", strconv.FormatUint(n, 10)), nil, nil, &out)
	return out, err
}

// HistoryKeys implements [protocol.History].
func (c *Client) HistoryKeys(ctx context.Context) (out protocol.HistoryKeys, err error) {
	err = c.call(ctx, http.MethodGet, path("history", "keys"), nil, nil, &out)
	return out, err
}

// Invoice implements [protocol.History].
func (c *Client) Invoice(ctx context.Context, in protocol.InvoiceInput) (out protocol.Invoice, err error) {
	query := periodOf(in.Account, in.From, in.Until)
	if in.Tree != "" {
		query.Set("tree", in.Tree)
	}
	err = c.call(ctx, http.MethodGet, path("invoice"), query, nil, &out)
	return out, err
}

func periodOf(account string, from, until time.Time) url.Values {
	query := url.Values{}
	if account != "" {
		query.Set("account", account)
	}
	if !from.IsZero() {
		query.Set("from", from.Format(time.RFC3339Nano))
	}
	if !until.IsZero() {
		query.Set("until", until.Format(time.RFC3339Nano))
	}
	return query
}
