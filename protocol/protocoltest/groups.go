package protocoltest

import (
	"cmp"
	"context"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// attic is who asks to join.
func (c *caller) attic() protocol.Applicant {
	return protocol.Applicant{PeerID: "peer2", Name: "attic", From: "192.0.2.7:7527", Asked: c.Now, Expires: c.Now.Add(24 * time.Hour)}
}

func (c *caller) lets() error {
	if !c.operator {
		return protocol.Errorf(protocol.ErrForbidden, "only an operator decides who joins")
	}
	return nil
}

// SetAdmission implements [protocol.Groups].
func (c *caller) SetAdmission(_ context.Context, in protocol.AdmissionInput) (protocol.Admission, error) {
	out := protocol.Admission{Ask: in.Ask}
	if in.Ask {
		out.Join = "slapd join 127.0.0.1:7527#abcd"
	}
	return out, c.lets()
}

// Pending implements [protocol.Groups].
func (c *caller) Pending(context.Context) ([]protocol.Applicant, error) {
	return []protocol.Applicant{c.attic()}, c.lets()
}

// Approve implements [protocol.Groups].
func (c *caller) Approve(_ context.Context, peer string, _ protocol.ApproveInput) (protocol.Applicant, error) {
	return c.asked(peer)
}

// Refuse implements [protocol.Groups].
func (c *caller) Refuse(_ context.Context, peer string, in protocol.RefuseInput) (protocol.Applicant, error) {
	a, err := c.asked(peer)
	a.Refused = cmp.Or(in.Reason, "no reason was given")
	return a, err
}

func (c *caller) asked(peer string) (protocol.Applicant, error) {
	if err := c.lets(); err != nil {
		return protocol.Applicant{}, err
	}
	if peer != "peer2" {
		return protocol.Applicant{}, protocol.Errorf(protocol.ErrNotFound, "nobody of the id %s asks to join: see \"slapd members pending\"", peer)
	}
	return c.attic(), nil
}

// RotateCA implements [protocol.Groups].
func (c *caller) RotateCA(context.Context, protocol.RotationInput) (protocol.Rotation, error) {
	return protocol.Rotation{Fingerprint: "abcd", Until: c.Now.Add(7 * 24 * time.Hour), Holders: 1}, c.lets()
}
