package protocol

import (
	"fmt"

	"github.com/slapmesh/slapmesh/ledger"
)

// A Code says why a call was refused. The ledger's codes are the protocol's: one
// survives from the log to the caller.
type Code = ledger.Code

// The reasons for refusing a call, see package ledger.
const (
	ErrInvalid      = ledger.ErrInvalid
	ErrNotFound     = ledger.ErrNotFound
	ErrConflict     = ledger.ErrConflict
	ErrExhausted    = ledger.ErrExhausted
	ErrUnauthorized = ledger.ErrUnauthorized
	ErrForbidden    = ledger.ErrForbidden
	ErrUnavailable  = ledger.ErrUnavailable
	ErrPayment      = ledger.ErrPayment
	ErrInternal     = ledger.ErrInternal
)

// An Error is a refusal that the caller may see: a code for programs, and one
// line for people that says what, why and what to do.
type Error struct {
	Code    Code
	Message string
}

// Errorf makes an Error.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error returns the message alone: it is written to be read.
func (e *Error) Error() string {
	if e.Message == "" {
		return string(e.Code)
	}
	return e.Message
}

// Unwrap returns the code, so that errors.Is(err, ErrNotFound) works.
func (e *Error) Unwrap() error { return e.Code }

// CodeOf returns the code that err wraps. It is "" if err wraps none, or if a
// decision failed: then the fault is the peer's and not the caller's.
func CodeOf(err error) Code {
	if c := ledger.CodeOf(err); c != ErrInternal {
		return c
	}
	return ""
}
