package client

import (
	"context"
	"net/http"

	"github.com/slapmesh/slapmesh/protocol"
)

// SetAdmission implements [protocol.Groups].
func (c *Client) SetAdmission(ctx context.Context, in protocol.AdmissionInput) (out protocol.Admission, err error) {
	err = c.call(ctx, http.MethodPut, path("admission"), nil, in, &out)
	return out, err
}

// Pending implements [protocol.Groups].
func (c *Client) Pending(ctx context.Context) (out []protocol.Applicant, err error) {
	err = c.call(ctx, http.MethodGet, path("pending"), nil, nil, &out)
	return out, err
}

// Approve implements [protocol.Groups].
func (c *Client) Approve(ctx context.Context, peer string, in protocol.ApproveInput) (out protocol.Applicant, err error) {
	err = c.call(ctx, http.MethodPost, path("pending", peer, "approval"), nil, in, &out)
	return out, err
}

// Refuse implements [protocol.Groups].
func (c *Client) Refuse(ctx context.Context, peer string, in protocol.RefuseInput) (out protocol.Applicant, err error) {
	err = c.call(ctx, http.MethodPost, path("pending", peer, "refusal"), nil, in, &out)
	return out, err
}

// RotateCA implements [protocol.Groups].
func (c *Client) RotateCA(ctx context.Context, in protocol.RotationInput) (out protocol.Rotation, err error) {
	err = c.call(ctx, http.MethodPost, path("ca", "rotation"), nil, in, &out)
	return out, err
}
