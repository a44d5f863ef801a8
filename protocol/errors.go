package protocol

import (
	"errors"
	"fmt"
)

// A Code says why a call was refused. Codes are constants, so errors.Is matches
// them on both sides of the wire.
type Code string

// The reasons for refusing a call. They are part of the wire: add to the end,
// never reword.
const (
	ErrInvalid      Code = "invalid"
	ErrNotFound     Code = "not found"
	ErrConflict     Code = "conflict"
	ErrExhausted    Code = "exhausted"
	ErrUnauthorized Code = "unauthorized"
	ErrForbidden    Code = "forbidden"
	ErrUnavailable  Code = "unavailable"
)

// Error returns the code itself.
func (c Code) Error() string { return string(c) }

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

// CodeOf returns the code that err wraps, or "" if it wraps none, in which case
// the fault is the peer's and not the caller's.
func CodeOf(err error) Code {
	var c Code
	errors.As(err, &c)
	return c
}
