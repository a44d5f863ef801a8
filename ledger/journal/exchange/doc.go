// Package exchange carries history between peers: the entries that a new
// replica is missing, and the signed checkpoints by which every peer notices
// if somebody is shown another history.
//
// A peer that holds the ledger signs what it holds now and then. Every peer
// asks another one, drawn at random, for the newest checkpoint that it knows,
// compares it with all that it ever saw, and passes it on when it is asked:
// so checkpoints spread as rumours do, and whoever shows two histories has to
// keep everybody apart who ever asks.
//
// # Over HTTP
//
// The host of a URL is a peer id.
//
//	GET /journal/v1/checkpoint           a note; 204 if none is known
//	GET /journal/v1/proof?old=N&size=M   CBOR: the hashes of a consistency proof
//	GET /journal/v1/chunk?from=N&to=M    CBOR: a journal.Chunk; for replicas only
package exchange
