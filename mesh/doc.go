// Package mesh carries bytes between the peers of one mesh, and says who they
// are.
//
// A [Mesh] is one peer's view: [Mesh.Members] lists the others, [Mesh.Dial]
// opens a stream to one of them by name, and [Mesh.Listen] accepts the streams
// of one [Kind]. Callers never see an address: how a peer is reached is the
// mesh's business.
//
// An [Identity] is a key; its hash is the [PeerID], for life. The [CA] of a
// mesh turns identities into members: [Join] presents a [Token] to any peer,
// and the peer's [Admitter] answers with a certificate.
//
// # Promises
//
// Every byte travels over QUIC with mutual TLS between certificates of one CA.
// A certificate says who; it gives no permission: [Config.Authorize] decides
// for each stream, and [Config.Revoked] for each peer. A stranger who does not
// know the CA's digest is shown no certificate.
//
// All exported methods may be called at the same time. Everything runs in
// virtual time (testing/synctest) over a simulated socket.
//
// Elsewhere: who may do what is package ledger; what the streams carry is
// consensus (raft), ledger/remote and protocol (RPC) and mesh/tunnel.
package mesh
