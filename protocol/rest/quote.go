package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func (s *Server) quotes() {
	register(s, huma.Operation{
		OperationID: "quote", Method: http.MethodPost, Path: "/v1/quotes", Tags: []string{"instances"},
		Summary: "Where a request would be placed, and what that costs; nothing is reserved",
	}, func(ctx context.Context, v protocol.Service, in *struct{ Body protocol.RequestInput }) (protocol.Quote, error) {
		if err := in.Body.Check(); err != nil {
			return protocol.Quote{}, err
		}
		q, err := v.Quote(ctx, in.Body)
		return q.Filled(), err
	})
}
