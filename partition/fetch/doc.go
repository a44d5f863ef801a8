// Package fetch carries built trees between peers.
//
// Who has a tree runs [Serve]; who wants one makes a [Client] and calls
// [Client.Fetch] with those that may have it. Several give different files at
// the same time; when one is lost the others go on, and what has come stays for
// the next attempt. Everything is checked against the tree's digest as it
// arrives, and nothing is in use before all of it is there.
//
// # The wire
//
// A stream carries one tree. Frames are a length (4 bytes, big-endian) and CBOR.
//
//	→ {1: key}                                     what is wanted
//	← {1: refusal} or {2: attestation, 3: size}    who says so, and how long the manifest is
//	→ {1: true} or {2: [[entry, offset, length]…]} the manifest, or pieces of files
//	← the bytes, in that order, and nothing round them
//	→ …
//
// Elsewhere: what a key stands for and what an attestation says is package
// build; who may ask, and who is believed, is the caller's.
package fetch
