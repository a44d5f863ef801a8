// Package sandbox builds the walls of a partition and starts its supervisor
// inside them.
//
// A [Host] is this computer. [Host.Launch] starts the supervisor of a
// partition, or finds the one that runs; [Host.Find] only finds;
// [Host.Destroy] leaves nothing behind. How strong the walls are is the
// Host's [Grade]: what the computer grants, found out by trying.
//
// # Promises
//
// A supervisor and all that it runs outlive the process that launched them,
// and any later process may find them by their folder. A partition has one
// supervisor however many daemons try to launch it. The daemon never writes,
// and never follows a link, in a folder that the partition can write to:
// what has to be written there is written by the supervisor, as the
// partition's user.
//
// Elsewhere: package supervisor is what runs inside.
package sandbox
