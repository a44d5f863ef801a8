// Package lan finds peers of a mesh on the local network, by multicast.
//
// Nobody announces anything: who looks asks, with [Find], and peers that run
// [Answer] answer. A question for a private mesh proves, by a keyed hash over
// its nonce, that the asker holds a token of it (which carries the digest of
// the mesh's CA); the answer proves the same in return and says a port, no
// name and no digest. All other peers are silent. A question without a proof
// is answered by open meshes only, whose names and fingerprints are public.
//
// Elsewhere: what is found is only an address to try. Who is there is checked
// by the handshake of package mesh, as at any other address.
package lan
