package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func (s *Server) people() {
	register(s, huma.Operation{
		OperationID: "create-token", Method: http.MethodPost, Path: "/v1/tokens", Tags: []string{"people"},
		Summary: "Make a token; its secret is in this answer only", DefaultStatus: http.StatusCreated,
	}, func(ctx context.Context, v protocol.Service, in *struct{ Body protocol.TokenInput }) (protocol.Token, error) {
		token, err := v.CreateToken(ctx, in.Body)
		return token.Filled(), err
	})
	register(s, huma.Operation{
		OperationID: "list-tokens", Method: http.MethodGet, Path: "/v1/tokens", Tags: []string{"people"},
		Summary: "The tokens of your account, and of the projects that it owns",
	}, func(ctx context.Context, v protocol.Service, _ *none) ([]protocol.Token, error) {
		tokens, err := v.Tokens(ctx)
		return filled(tokens), err
	})
	registerQuiet(s, huma.Operation{
		OperationID: "revoke-token", Method: http.MethodDelete, Path: "/v1/tokens/{id}", Tags: []string{"people"},
		Summary: "End a token",
	}, func(ctx context.Context, v protocol.Service, in *struct {
		ID string `path:"id" maxLength:"64"`
	},
	) error {
		return v.RevokeToken(ctx, in.ID)
	})
}
