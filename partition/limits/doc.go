// Package limits bounds what the processes of a partition may use together:
// cores, memory, and how many they are.
//
// [Open] finds out where this program may make control groups, of version 2
// or 1, and which controllers they have; [Tree.Group] names the group of one
// partition, which outlives the program that made it.
//
// # Promises
//
// A process that [Group.Start] starts is in the group before its first
// instruction, and so is all that it starts. What a computer does not grant is
// said ([Tree.Lacks]), never pretended. Ending a group ends all of it, however
// fast it forks.
//
// Sources: the kernel's Documentation/admin-guide/cgroup-v2.rst and
// cgroup-v1/*.rst.
package limits
