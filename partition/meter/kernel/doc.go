// Package kernel reads what Linux accounts to one partition.
//
// A [Partition] is a [meter.Source]. Processor time and memory come from the
// partition's control groups, version 2 or 1, if it has some, and otherwise
// from its processes in /proc: those below its supervisor and those of its
// user. Disk is what the files below its folder take. Bytes on the network
// come from the partition's network namespace, if it has one of its own, and
// from whoever carries its connections.
//
// On other systems a Partition measures only what is stored, what is carried,
// and what the profile counts.
//
// All partitions of a computer share one [Kernel], which reads the table of
// processes once for all of them.
package kernel
