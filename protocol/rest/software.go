package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func (s *Server) software() {
	register(s, huma.Operation{
		OperationID: "list-releases", Method: http.MethodGet, Path: "/v1/releases", Tags: []string{"software"},
		Summary: "What can be requested by name",
	}, func(ctx context.Context, v protocol.Service, _ *none) ([]protocol.Release, error) {
		releases, err := v.Releases(ctx)
		return filled(releases), err
	})
	register(s, huma.Operation{
		OperationID: "publish", Method: http.MethodPost, Path: "/v1/releases", Tags: []string{"software"},
		Summary: "Put a release into the ledger",
	}, func(ctx context.Context, v protocol.Service, in *struct{ Body protocol.PublishInput }) (protocol.Release, error) {
		release, err := v.Publish(ctx, in.Body)
		return release.Filled(), err
	})
	register(s, huma.Operation{
		OperationID: "verify-releases", Method: http.MethodPost, Path: "/v1/releases/verify", Tags: []string{"software"},
		Summary: "Read every file of the releases on this computer, and repair what came to harm",
	}, func(ctx context.Context, v protocol.Service, in *struct{ Body protocol.VerifyReleasesInput }) ([]protocol.VerifiedTree, error) {
		checked, err := v.VerifyReleases(ctx, in.Body)
		return filled(checked), err
	})
	register(s, huma.Operation{
		OperationID: "list-supplies", Method: http.MethodGet, Path: "/v1/supplies", Tags: []string{"software"},
		Summary: "Which releases are ordered where",
	}, func(ctx context.Context, v protocol.Service, _ *none) ([]protocol.Supply, error) {
		supplies, err := v.Supplies(ctx)
		return list(supplies), err
	})
	register(s, huma.Operation{
		OperationID: "supply", Method: http.MethodPost, Path: "/v1/supplies", Tags: []string{"software"},
		Summary: "Order a computer to have a release, or to drop it",
	}, func(ctx context.Context, v protocol.Service, in *struct{ Body protocol.SupplyInput }) (protocol.Supply, error) {
		return v.Supply(ctx, in.Body)
	})
}

// list returns an empty list in place of a missing one.
func list[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}
