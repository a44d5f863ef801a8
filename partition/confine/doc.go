// Package confine takes from a thread, and from all that it starts, what no
// service of a partition needs: kernel calls that administer a computer
// (seccomp), files outside of the partition, and other processes (Landlock).
//
// [Thread] does both to the calling thread only, so a supervisor that starts
// its services from such a thread stays free itself, and out of their reach.
//
// Sources: the kernel's Documentation/userspace-api/seccomp_filter.rst and
// landlock.rst; the list of calls follows those of container engines.
package confine
