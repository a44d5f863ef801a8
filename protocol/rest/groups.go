package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func (s *Server) groups() {
	register(s, huma.Operation{
		OperationID: "set-admission", Method: http.MethodPut, Path: "/v1/admission", Tags: []string{"people"},
		Summary: "Let strangers ask to join, or no longer",
	}, func(ctx context.Context, v protocol.Service, in *struct{ Body protocol.AdmissionInput }) (protocol.Admission, error) {
		return v.SetAdmission(ctx, in.Body)
	})
	register(s, huma.Operation{
		OperationID: "list-pending", Method: http.MethodGet, Path: "/v1/pending", Tags: []string{"people"},
		Summary: "Who asked to join",
	}, func(ctx context.Context, v protocol.Service, _ *none) ([]protocol.Applicant, error) {
		all, err := v.Pending(ctx)
		if all == nil {
			all = []protocol.Applicant{}
		}
		return all, err
	})
	register(s, huma.Operation{
		OperationID: "approve", Method: http.MethodPost, Path: "/v1/pending/{peer}/approval", Tags: []string{"people"},
		Summary: "Let in who asked to join",
	}, func(ctx context.Context, v protocol.Service, in *struct {
		Peer string `path:"peer" maxLength:"64"`
		Body protocol.ApproveInput
	},
	) (protocol.Applicant, error) {
		return v.Approve(ctx, in.Peer, in.Body)
	})
	register(s, huma.Operation{
		OperationID: "refuse", Method: http.MethodPost, Path: "/v1/pending/{peer}/refusal", Tags: []string{"people"},
		Summary: "Tell who asked to join that it may not",
	}, func(ctx context.Context, v protocol.Service, in *struct {
		Peer string `path:"peer" maxLength:"64"`
		Body protocol.RefuseInput
	},
	) (protocol.Applicant, error) {
		return v.Refuse(ctx, in.Peer, in.Body)
	})
	register(s, huma.Operation{
		OperationID: "rotate-ca", Method: http.MethodPost, Path: "/v1/ca/rotation", Tags: []string{"people"},
		Summary: "Replace the key that signs certificates",
	}, func(ctx context.Context, v protocol.Service, in *struct{ Body protocol.RotationInput }) (protocol.Rotation, error) {
		return v.RotateCA(ctx, in.Body)
	})
}
