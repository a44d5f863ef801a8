// Package tunnel makes the address of an instance mean the same on every
// computer of the mesh.
//
// An instance listens on an address of [Network] at its own computer. On
// every other computer a [Manager] listens on that same address and port, and
// carries each connection over a stream of the mesh to the peer that hosts
// the instance; there [Serve] dials the instance.
//
// What a manager should listen on, it is told as a list of [Service]; [Plan]
// says what that changes. Half-close, reset and back-pressure pass through
// from end to end.
//
// Elsewhere: which service is where, and who may connect, is the ledger's to
// say; [ServeConfig.Authorize] asks it.
package tunnel
