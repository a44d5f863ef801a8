// Package remote is the ledger for peers that do not replicate it: they
// propose to the leader and follow their slice from any voter.
//
// It is plain net/http, so it runs over any connection: the daemon mounts a
// [Server] on the streams of the mesh and gives a [Forwarder] and a
// [Follower] a round tripper that dials peers by id. The host of every URL
// is the id of the peer that is asked.
//
//	POST /ledger/v1/propose            a batch of commands; answers each
//	GET  /ledger/v1/watch?since=N      a stream of frames: the slice, then what changes
//	GET  /ledger/v1/profile/{digest}   the bytes of a release
//
// # Who asks
//
// The server learns from the connection which peer asks. A peer may pass on
// what the bearer of a user token asks, with the token's digest; otherwise a
// command is the peer's own. Nothing else in a message says who asks.
//
// # Retries
//
// Commands are idempotent, so a [Forwarder] repeats one whose fate it does
// not know, at the next leader, until its patience ends.
package remote
