package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func (s *Server) money() {
	register(s, huma.Operation{
		OperationID: "list-prices", Method: http.MethodGet, Path: "/v1/prices", Tags: []string{"money"},
		Summary: "What accounts ask for their computers and releases",
	}, func(ctx context.Context, v protocol.Service, _ *none) ([]protocol.Price, error) {
		prices, err := v.Prices(ctx)
		return filled(prices), err
	})
	register(s, huma.Operation{
		OperationID: "set-price", Method: http.MethodPost, Path: "/v1/prices", Tags: []string{"money"},
		Summary: "Say what your account asks from a moment on; the same again changes nothing",
	}, checked(func(ctx context.Context, v protocol.Service, in protocol.PriceInput) (protocol.Price, error) {
		price, err := v.SetPrice(ctx, in)
		return price.Filled(), err
	}))
	register(s, huma.Operation{
		OperationID: "statement", Method: http.MethodGet, Path: "/v1/statement", Tags: []string{"money"},
		Summary: "What an account has, what it has set aside, and its bills",
	}, func(ctx context.Context, v protocol.Service, in *struct {
		Account string `query:"account" maxLength:"64" doc:"the caller's own, if not given"`
	},
	) (protocol.Statement, error) {
		statement, err := v.Statement(ctx, in.Account)
		return statement.Filled(), err
	})
	s.payments()
	register(s, huma.Operation{
		OperationID: "terms", Method: http.MethodGet, Path: "/v1/terms", Tags: []string{"money"},
		Summary: "What the mesh agrees on about money",
	}, func(ctx context.Context, v protocol.Service, _ *none) (protocol.Terms, error) { return v.Terms(ctx) })
	register(s, huma.Operation{
		OperationID: "set-terms", Method: http.MethodPut, Path: "/v1/terms", Tags: []string{"money"},
		Summary: "Change that; what is empty becomes the default; operators only",
	}, checked(func(ctx context.Context, v protocol.Service, in protocol.Terms) (protocol.Terms, error) {
		return v.SetTerms(ctx, in)
	}))
}

func (s *Server) payments() {
	register(s, huma.Operation{
		OperationID: "pay", Method: http.MethodPost, Path: "/v1/payments", Tags: []string{"money"},
		Summary: "Move money, once for each id; answers with the payer's statement",
	}, checked(func(ctx context.Context, v protocol.Service, in protocol.PaymentInput) (protocol.Statement, error) {
		statement, err := v.Pay(ctx, in)
		return statement.Filled(), err
	}))
	register(s, huma.Operation{
		OperationID: "set-limit", Method: http.MethodPost, Path: "/v1/limits", Tags: []string{"money"},
		Summary: "Say what an account may spend; operators only",
	}, checked(func(ctx context.Context, v protocol.Service, in protocol.LimitInput) (protocol.Statement, error) {
		statement, err := v.SetLimit(ctx, in)
		return statement.Filled(), err
	}))
	register(s, huma.Operation{
		OperationID: "review-bill", Method: http.MethodPost, Path: "/v1/reviews", Tags: []string{"money"},
		Summary: "Accept or dispute what was billed for one of your instances",
	}, checked(func(ctx context.Context, v protocol.Service, in protocol.ReviewInput) (protocol.Bill, error) {
		return v.ReviewBill(ctx, in)
	}))
}

// A bodyCall is a call that is all in its body.
type bodyCall[T any] struct{ Body T }

// checked refuses what a schema cannot before anybody is asked.
func checked[I interface{ Check() error }, O any](f func(context.Context, protocol.Service, I) (O, error)) func(context.Context, protocol.Service, *bodyCall[I]) (O, error) {
	return func(ctx context.Context, v protocol.Service, in *bodyCall[I]) (out O, err error) {
		if err = in.Body.Check(); err != nil {
			return out, err
		}
		return f(ctx, v, in.Body)
	}
}
