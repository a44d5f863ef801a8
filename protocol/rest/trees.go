package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

// An InstanceCall names an instance in the path.
type InstanceCall struct {
	Reference string `path:"reference" doc:"the instance's reference, led by those above it, or its id"`
	Account   string `query:"account" maxLength:"64" doc:"whose instance; the caller's own, if not given"`
}

func (c InstanceCall) ref() protocol.Ref {
	return protocol.Ref{Reference: c.Reference, Account: c.Account}
}

func (s *Server) trees() {
	register(s, huma.Operation{
		OperationID: "show-tree", Method: http.MethodGet, Path: "/v1/instances/{reference}/tree", Tags: []string{"instances"},
		Summary: "The instances of the tree in which one is, the root first",
	}, func(ctx context.Context, v protocol.Service, in *InstanceCall) ([]protocol.Instance, error) {
		all, err := v.Tree(ctx, in.ref())
		return filled(all), err
	})
	register(s, huma.Operation{
		OperationID: "rename", Method: http.MethodPost, Path: "/v1/instances/{reference}/rename", Tags: []string{"instances"},
		Summary: "Give an instance another name",
	}, func(ctx context.Context, v protocol.Service, in *struct {
		InstanceCall
		Body protocol.RenameInput
	},
	) (protocol.Instance, error) {
		i, err := v.Rename(ctx, in.ref(), in.Body)
		return i.Filled(), err
	})
	register(s, huma.Operation{
		OperationID: "bang", Method: http.MethodPost, Path: "/v1/instances/{reference}/bang", Tags: []string{"instances"},
		Summary: "Have every instance of a tree looked at again, now",
	}, func(ctx context.Context, v protocol.Service, in *struct {
		InstanceCall
		Body protocol.BangInput
	},
	) (protocol.Instance, error) {
		i, err := v.Bang(ctx, in.ref(), in.Body)
		return i.Filled(), err
	})
	register(s, huma.Operation{
		OperationID: "move", Method: http.MethodPost, Path: "/v1/instances/{reference}/move", Tags: []string{"instances"},
		Summary: "Give a stopped instance another computer, where it is a new one without data",
	}, func(ctx context.Context, v protocol.Service, in *struct {
		InstanceCall
		Body protocol.MoveInput
	},
	) (protocol.Instance, error) {
		i, err := v.Move(ctx, in.ref(), in.Body)
		return i.Filled(), err
	})
}
