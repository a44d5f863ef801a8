// Package partition makes one computer be as the ledger wants it: releases
// built, instances running in their partitions, nothing else left behind.
//
// An [Agent] learns from its [Source] what is wanted and knows, in an
// [Inventory], what is. [Plan] lists the steps from one to the other, and
// each [Step] acts on a [Host]. What was found out is told to a [Reporter].
// Only Plan and [Reports] make choices, and they are pure functions.
//
// # Promises
//
// Nothing is polled: the agent looks again when the ledger, a supervisor or a
// step has news, or when a retry is due. What fails is tried again, later
// each time, and the reason is reported; one failing instance or release
// holds up no other. An agent that ends, or is killed, leaves its instances
// running, and the next one finds them. An instance's data is removed only
// when the ledger says that the instance is destroyed, or that its partition
// is another's.
//
// Elsewhere: package release says what an instance should be; package build
// makes the trees; package sandbox builds the walls; package supervisor is the
// init inside them.
package partition
