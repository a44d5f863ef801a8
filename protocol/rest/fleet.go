package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

type peerPath struct {
	Peer string `path:"peer" maxLength:"64"`
}

func (s *Server) fleet() {
	register(s, huma.Operation{
		OperationID: "status", Method: http.MethodGet, Path: "/v1/status", Tags: []string{"fleet"},
		Summary: "What this peer is, and what it knows of the mesh",
	}, func(ctx context.Context, v protocol.Service, _ *none) (protocol.Status, error) {
		status, err := v.Status(ctx)
		return status.Filled(), err
	})
	register(s, huma.Operation{
		OperationID: "list-members", Method: http.MethodGet, Path: "/v1/members", Tags: []string{"fleet"},
		Summary: "The peers of the mesh",
	}, func(ctx context.Context, v protocol.Service, _ *none) ([]protocol.Member, error) {
		members, err := v.Members(ctx)
		return filled(members), err
	})
	register(s, huma.Operation{
		OperationID: "set-role", Method: http.MethodPut, Path: "/v1/members/{peer}/role", Tags: []string{"fleet"},
		Summary: "Give a peer another role",
	}, func(ctx context.Context, v protocol.Service, in *struct {
		Peer string `path:"peer" maxLength:"64"`
		Body protocol.RoleInput
	},
	) (protocol.Member, error) {
		member, err := v.SetRole(ctx, in.Peer, in.Body.Role)
		return member.Filled(), err
	})
	registerQuiet(s, huma.Operation{
		OperationID: "remove-member", Method: http.MethodDelete, Path: "/v1/members/{peer}", Tags: []string{"fleet"},
		Summary: "Revoke a peer for good",
	}, func(ctx context.Context, v protocol.Service, in *peerPath) error {
		return v.RemoveMember(ctx, in.Peer)
	})
	register(s, huma.Operation{
		OperationID: "list-computers", Method: http.MethodGet, Path: "/v1/computers", Tags: []string{"fleet"},
		Summary: "The computers of the mesh",
	}, func(ctx context.Context, v protocol.Service, _ *none) ([]protocol.Computer, error) {
		computers, err := v.Computers(ctx)
		return filled(computers), err
	})
	registerQuiet(s, huma.Operation{
		OperationID: "leave", Method: http.MethodPost, Path: "/v1/leave", Tags: []string{"fleet"},
		Summary: "Take this peer out of the mesh, and stop it",
	}, func(ctx context.Context, v protocol.Service, in *struct{ Body protocol.LeaveInput }) error {
		return v.Leave(ctx, in.Body)
	})
}

// filled returns a list whose values all have the same shape.
func filled[T interface{ Filled() T }](in []T) []T {
	out := make([]T, len(in))
	for i, v := range in {
		out[i] = v.Filled()
	}
	return out
}
