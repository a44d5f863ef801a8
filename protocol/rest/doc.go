// Package rest serves a [protocol.Service] over HTTP, as JSON.
//
// A [Server] knows the calls; a [Door] knows who comes in. Each listener has a
// door of its own: the control socket tells callers by their uid, the local API
// by a bearer token. A call that passes the door gets the Service of its caller
// and nothing else, so a handler cannot act for somebody else.
//
// The calls are described at /openapi.json (OpenAPI 3.1), which needs no token.
// Every refusal is a [protocol.Problem]. What has no code is the peer's fault:
// it is logged here, once, and shown as "internal error".
//
// # Elsewhere
//
// Package client is the other end. DESIGN.md of package protocol has the wire.
package rest
