package rest

import (
	"context"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func (s *Server) history() {
	account := parameter("query", "account", "string", "only what concerns it; all that you may see, if not given")
	from := parameter("query", "from", "string", "entries from this moment on (RFC 3339)")
	until := parameter("query", "until", "string", "and before this one (RFC 3339)")
	s.direct(huma.Operation{
		OperationID: "export-history", Method: http.MethodGet, Path: "/v1/history", Tags: []string{"history"},
		Summary:    "History in a format: proof (for operators), json, csv, ledger or beancount",
		Parameters: []*huma.Param{parameter("query", "format", "string", "one of these"), account, from, until},
		Responses:  map[string]*huma.Response{"200": {Description: "The entries", Content: map[string]*huma.MediaType{"application/octet-stream": {}}}},
	}, s.exportHistory)
	s.direct(huma.Operation{
		OperationID: "verify-history", Method: http.MethodGet, Path: "/v1/history/verification", Tags: []string{"history"},
		Summary:   "Check all that this peer knows of history; server-sent events tell how far it is, the last one what was found",
		Responses: map[string]*huma.Response{"200": {Description: "Events named verification", Content: map[string]*huma.MediaType{"text/event-stream": {}}}},
	}, s.verifyHistory)
	register(s, huma.Operation{
		OperationID: "history-entry", Method: http.MethodGet, Path: "/v1/history/entries/{entry}", Tags: []string{"history"},
		Summary: "One entry, with the proof that signed history holds it",
	}, func(ctx context.Context, v protocol.Service, in *struct {
		Entry uint64 `path:"entry"`
	},
	) (protocol.HistoryEntry, error) {
		entry, err := v.HistoryEntry(ctx, in.Entry)
		return entry.Filled(), err
	})
	register(s, huma.Operation{
		OperationID: "history-keys", Method: http.MethodGet, Path: "/v1/history/keys", Tags: []string{"history"},
		Summary: "Whose signatures count, to check an export without the mesh",
	}, func(ctx context.Context, v protocol.Service, _ *none) (protocol.HistoryKeys, error) {
		keys, err := v.HistoryKeys(ctx)
		return keys.Filled(), err
	})
	register(s, huma.Operation{
		OperationID: "invoice", Method: http.MethodGet, Path: "/v1/invoice", Tags: []string{"money"},
		Summary: "What an account had, paid and got in a period",
	}, func(ctx context.Context, v protocol.Service, in *struct {
		Account string    `query:"account" maxLength:"64" doc:"the caller's own, if not given"`
		From    time.Time `query:"from" doc:"what was billed from this moment on"`
		Until   time.Time `query:"until" doc:"and before this one"`
		Tree    string    `query:"tree" maxLength:"256" doc:"only instances of the tree with this root"`
	},
	) (protocol.Invoice, error) {
		invoice, err := v.Invoice(ctx, protocol.InvoiceInput{Account: in.Account, From: in.From, Until: in.Until, Tree: in.Tree})
		return invoice.Filled(), err
	})
}

func (s *Server) verifyHistory(w http.ResponseWriter, r *http.Request) error {
	return s.events(w, r, "verification", func(ctx context.Context, yield func(any, error) bool) {
		for v, err := range serviceOf(ctx).VerifyHistory(ctx) {
			if !yield(v.Filled(), err) {
				return
			}
		}
	})
}

func (s *Server) exportHistory(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	in := protocol.ExportInput{Format: query.Get("format"), Account: query.Get("account")}
	if !slices.Contains(protocol.Formats(), in.Format) {
		return protocol.Errorf(protocol.ErrInvalid, "format is %.40q: one of %v wanted", in.Format, protocol.Formats())
	}
	for _, moment := range []struct {
		name string
		to   *time.Time
	}{{"from", &in.From}, {"until", &in.Until}} {
		text := query.Get(moment.name)
		if text == "" {
			continue
		}
		var err error
		if *moment.to, err = time.Parse(time.RFC3339, text); err != nil {
			return protocol.Errorf(protocol.ErrInvalid, "%s is %.40q: a moment such as 2026-11-22T12:00:00Z wanted", moment.name, text)
		}
	}
	return s.pour(w, r, "application/octet-stream", func(ctx context.Context) (io.ReadCloser, error) {
		return serviceOf(ctx).ExportHistory(ctx, in)
	})
}
