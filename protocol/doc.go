// Package protocol is what slapd answers, as Go interfaces and wire types.
//
// A [Service] is everything that one caller may ask of a peer. It is already
// bound to that caller: who asks is settled where the connection is accepted,
// so no method takes a name or a secret, and no message can claim one. The
// daemon implements Service over the ledger; package client implements it over
// HTTP; whoever holds one does not know which.
//
// # Promises
//
// Values are plain data with stable snake_case JSON names: a released field
// keeps its name and its meaning. Every error that the caller can do something
// about is an [*Error] with a [Code]; any other error is a fault of the peer,
// and its text never leaves it. Methods may be called concurrently.
//
// # Elsewhere
//
// Package rest serves a Service over HTTP, package client asks one. What the
// words mean is the ledger's business.
package protocol
