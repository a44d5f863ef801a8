package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func (s *Server) owners() {
	register(s, huma.Operation{
		OperationID: "set-computer", Method: http.MethodPost, Path: "/v1/computers/set", Tags: []string{"fleet"},
		Summary: "Say whose instances a computer takes, and its labels",
	}, func(ctx context.Context, v protocol.Service, in *struct{ Body protocol.ComputerInput }) (protocol.Computer, error) {
		if err := in.Body.Check(); err != nil {
			return protocol.Computer{}, err
		}
		c, err := v.SetComputer(ctx, in.Body)
		return c.Filled(), err
	})
	register(s, huma.Operation{
		OperationID: "drain-computer", Method: http.MethodPost, Path: "/v1/computers/drain", Tags: []string{"fleet"},
		Summary: "Keep new instances away from a computer, or let them come again",
	}, func(ctx context.Context, v protocol.Service, in *struct{ Body protocol.DrainInput }) (protocol.Computer, error) {
		c, err := v.DrainComputer(ctx, in.Body)
		return c.Filled(), err
	})
	register(s, huma.Operation{
		OperationID: "empty-computer", Method: http.MethodPost, Path: "/v1/computers/empty", Tags: []string{"fleet"},
		Summary: "Move the instances of a computer elsewhere, with their data",
	}, func(ctx context.Context, v protocol.Service, in *struct{ Body protocol.EmptyInput }) ([]protocol.Leaving, error) {
		return v.EmptyComputer(ctx, in.Body)
	})
	register(s, huma.Operation{
		OperationID: "retire-computer", Method: http.MethodPost, Path: "/v1/computers/retire", Tags: []string{"fleet"},
		Summary: "Keep new instances away from a computer for good",
	}, func(ctx context.Context, v protocol.Service, in *struct{ Body protocol.RetireInput }) (protocol.Computer, error) {
		c, err := v.RetireComputer(ctx, in.Body)
		return c.Filled(), err
	})
	register(s, huma.Operation{
		OperationID: "give-computer", Method: http.MethodPost, Path: "/v1/computers/give", Tags: []string{"fleet"},
		Summary: "Give a computer to another account, which earns from then on",
	}, func(ctx context.Context, v protocol.Service, in *struct{ Body protocol.GiveInput }) (protocol.Computer, error) {
		c, err := v.GiveComputer(ctx, in.Body)
		return c.Filled(), err
	})
}
