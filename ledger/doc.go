// Package ledger decides what the mesh agrees on.
//
// A [State] is everything that the peers share: who they are, which
// partitions they offer, which software releases there are, and which
// instances occupy the partitions. It changes in one way only. The log
// orders a [Command]; [State.Decide] turns it into events or refuses it with
// a [Refusal]; [State.Evolve] records the events.
//
// # Determinism
//
// Every voter reaches the same State from the same log. So nothing here
// reads a clock, draws a random number, opens a file, starts a goroutine, or
// lets the order of a map reach an event. Time, randomness and identifiers
// arrive with the command; [State.Hash] lets voters find out cheaply that
// they differ.
//
// # Who asks
//
// A command is decided for a [Principal], which the leader derives from the
// connection or the token that carried the command, never from the command.
// What a principal may do is part of each decision.
//
// # Slices
//
// A peer that does not replicate keeps a partial State: its slice. It is
// filled from a [Frame] and answers the same questions, and it never
// decides.
//
// # Elsewhere
//
// Package consensus orders the commands and knows nothing of their meaning.
// Package replica drives a State from that order; package remote gives the
// same to peers that only ask. Package placement chooses the computer of a
// new instance. Package partition makes an allocation real and reports.
package ledger
