package protocol

import "cmp"

// A Problem is a refusal on the wire: problem details as in RFC 9457, with the
// code beside them.
type Problem struct {
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail" doc:"one line: what, why and what to do"`
	Code   Code    `json:"code,omitempty" doc:"empty for a fault of the peer"`
	Errors []Fault `json:"errors,omitempty"`
}

// A Fault is one thing that is wrong with what was sent.
type Fault struct {
	Location string `json:"location,omitempty"`
	Message  string `json:"message"`
}

// ProblemType is the media type of a Problem.
const ProblemType = "application/problem+json"

// Err returns the problem as the error that it was. A problem without a code is
// not an *Error: nothing that the caller does would mend it.
func (p Problem) Err() error {
	if p.Code == "" {
		return internalError(cmp.Or(p.Detail, p.Title))
	}
	return &Error{Code: p.Code, Message: p.Detail}
}

// internalError is a fault of the peer, as told by it.
type internalError string

func (e internalError) Error() string { return "slapd: " + string(e) }
