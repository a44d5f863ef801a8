// Package switchboard lets QUIC connections between two peers run over
// whatever leads from one to the other, and change it while they run.
//
// A [Board] owns the one UDP socket. Packets of ordinary QUIC pass through it
// untouched ([Board.Socket]). Others come in envelopes: a QUIC packet behind
// one byte and a [Label], which whoever receives it has chosen. A label stands
// either for a peer at the other end of a virtual connection
// ([Board.Virtual]), or for the next hop, when this peer relays. So a
// virtual connection sees one address of its peer that never changes, and
// [Board.Route] changes where its packets go. A label is no permission: what
// arrives under it is QUIC, which checks every packet.
//
// A Board decides nothing: which way is the best, whom to relay for, and
// which address is really the peer's is for its user.
//
// Elsewhere: mesh opens the ways and chooses among them.
package switchboard
