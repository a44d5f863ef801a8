// Package meter measures what the partitions of this computer use and tells
// the ledger, which bills it.
//
// A [Source] reads what the kernel accounts to one instance. The [Meter] reads
// every source every few seconds. Two readings and the time between them are
// an amount: counters by their difference, memory and disk as the area below
// the line from one to the other. Amounts add up in the open period until it
// is closed: then they are a numbered, signed [ledger.UsageReport] in a spool
// on disk, which a [Sender] empties when the ledger can be reached. A [Poller]
// asks instances aside for what they count themselves.
//
// # Nothing is lost, nothing is billed twice
//
// One file holds all that the open period knows: what was used so far, the
// last reading of every instance, and the number that the report will have.
// It is replaced at once or not at all, and closing a period is one such
// replacement, so whenever the computer stops, the next meter goes on from a
// moment that really was. Processor time and counters that went on meanwhile
// are found in the next reading. What a crash can lose is memory, disk and
// ended processes of the last minute, in favour of who pays.
//
// # Elsewhere
//
// Package kernel has the source for Linux. What usage costs and whether a
// report is believed is decided by the ledger. DESIGN.md has the formats, the decisions and the figures.
package meter
