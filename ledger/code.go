package ledger

import (
	"errors"
	"fmt"
)

// A Code says why a command was refused. Codes are constants, so errors.Is
// matches them on both sides of a wire.
type Code string

// The reasons for refusing a command. They appear in the log and in the
// protocol: add to the end, never reword.
const (
	ErrInvalid      Code = "invalid"      // malformed, or out of bounds
	ErrNotFound     Code = "not found"    // names something that is not there
	ErrConflict     Code = "conflict"     // contradicts what is there
	ErrExhausted    Code = "exhausted"    // there is no room for it
	ErrUnauthorized Code = "unauthorized" // who asks is not known to the ledger
	ErrForbidden    Code = "forbidden"    // who asks is known and may not
	ErrUnavailable  Code = "unavailable"  // not now, or not on this mesh
	ErrInternal     Code = "internal"     // the decision failed: a fault of ours
	ErrPayment      Code = "payment"      // who asks cannot pay for it
)

// Error returns the code itself.
func (c Code) Error() string { return string(c) }

// CodeOf returns the code that err wraps, or "" if it wraps none, in which
// case the fault is ours and not the caller's.
func CodeOf(err error) Code {
	var c Code
	errors.As(err, &c)
	return c
}

// A Refusal is the answer to a command that the ledger did not accept. It
// survives the log and the wire, and wraps its [Code].
type Refusal struct {
	Code   Code   `cbor:"1,keyasint"`
	Detail string `cbor:"2,keyasint"` // written for who asked: what, why, what to do
}

// Error returns the detail.
func (r *Refusal) Error() string { return r.Detail }

// Unwrap returns the code.
func (r *Refusal) Unwrap() error { return r.Code }

// refuse returns a refusal whose detail is formatted as by fmt.Sprintf.
func refuse(code Code, format string, args ...any) error {
	return &Refusal{code, fmt.Sprintf(format, args...)}
}
