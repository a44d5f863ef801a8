package protocol

import (
	"context"
	"time"
)

// Groups is about how a closed group lets others in, and the key by which its
// members know one another. All of it is for operators.
type Groups interface {
	// SetAdmission lets strangers who know the fingerprint ask to join, or no
	// longer.
	SetAdmission(ctx context.Context, in AdmissionInput) (Admission, error)

	// Pending lists those who asked to join, the first first; also those who
	// were refused, for as long as that is remembered.
	Pending(ctx context.Context) ([]Applicant, error)

	// Approve makes one of them a member, by its peer id or a beginning of it.
	// It learns of it within seconds, if it still waits.
	Approve(ctx context.Context, peer string, in ApproveInput) (Applicant, error)

	// Refuse tells one of them that it may not join, and why.
	Refuse(ctx context.Context, peer string, in RefuseInput) (Applicant, error)

	// RotateCA replaces the key that signs all certificates, while the mesh
	// runs. Members get new certificates by themselves; who is off meanwhile
	// comes back with its own key.
	RotateCA(ctx context.Context, in RotationInput) (Rotation, error)
}

// An AdmissionInput says how others come in.
type AdmissionInput struct {
	Ask bool `json:"ask" doc:"strangers who know the fingerprint may ask, and wait for an operator"`
}

// An Admission is how others come in.
type Admission struct {
	Ask  bool   `json:"ask" doc:"strangers who know the fingerprint may ask, and wait for an operator"`
	Join string `json:"join,omitempty" doc:"the line to type on the next computer, if one may ask"`
}

// An Applicant asks to join.
type Applicant struct {
	PeerID  string    `json:"peer_id" doc:"compare it with what the other computer shows"`
	Name    string    `json:"name"`
	From    string    `json:"from,omitempty" doc:"the address that it was seen at"`
	Asked   time.Time `json:"asked"`
	Expires time.Time `json:"expires" doc:"when it is forgotten"`
	Refused string    `json:"refused,omitempty" doc:"why, if it was refused"`
}

// An ApproveInput says as what an applicant is let in.
type ApproveInput struct {
	Role    Role   `json:"role,omitempty" enum:"voter,computer" doc:"computer, if not given"`
	Account string `json:"account,omitempty" maxLength:"64" doc:"made if new; the caller's own, if not given"`
}

// A RefuseInput says why an applicant may not join.
type RefuseInput struct {
	Reason string `json:"reason,omitempty" maxLength:"200" doc:"told to whoever asked"`
}

// A RotationInput says how the CA is replaced.
type RotationInput struct {
	Grace string `json:"grace,omitempty" maxLength:"32" doc:"how long old certificates of members, old tokens and old fingerprints count, such as 1h or 7d; 7d, if not given"`
}

// A Rotation is how the CA was replaced.
type Rotation struct {
	Fingerprint string    `json:"fingerprint" doc:"of the new CA"`
	Until       time.Time `json:"until" doc:"until when what the former one signed counts"`
	Holders     int       `json:"holders" doc:"how many voters hold the new key"`
}
