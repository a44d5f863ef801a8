// Package journal keeps the history of the ledger: every event in order, on
// disk, in a form that anybody can check and nobody can change unseen.
//
// An [Entry] is one event: its kind, whom it concerns, what it moved, and a
// [Commitment] to the rest, which no journal holds. Its one byte form is a
// leaf of a Merkle tree (RFC 6962), so a [Checkpoint] of a few lines, signed
// by voters, vouches for all entries before it. [Open] gives a [Journal].
//
// # What a replica does
//
//  1. It appends what each group of commands decided: [Journal.Append]. After
//     a restart the log brings the same again; what is there already must be
//     equal, so a replica that went another way stops with a [MismatchError].
//  2. It puts [Journal.Frontier] into each snapshot of the ledger, and waits
//     for [Journal.Sync] before the snapshot counts.
//  3. When it is given a snapshot it calls [Journal.Restore], and then, while
//     the log goes on, [Journal.Fill] with what other peers have.
//  4. It signs checkpoints ([Sign]) and compares those of others with all that
//     it ever saw ([Journal.Keep]).
//
// # What it promises
//
// Entries are numbered from 0 without gaps and never change. Entries appended
// together are there together or not at all, whatever kills the process. After
// a crash the journal is what was durable, and perhaps some more: shorter than
// it was, never torn. What an untrusted peer sent is checked before it is
// written. [Journal.Verify] and [VerifyExport] find any changed byte.
//
// One goroutine appends; any number read, each a history at one moment, and
// hold nobody up. The pure parts (leaves, proofs, checkpoints, exports) need no
// journal and no disk.
//
// # Elsewhere
//
// What an event is and which there are: package ledger. Who converts them:
// ledger/replica. Carrying chunks, proofs and checkpoints between peers is not
// done here. Formats and reasons are in DESIGN.md.
package journal
