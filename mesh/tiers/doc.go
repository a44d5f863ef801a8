// Package tiers keeps a mesh of any size cheap for each of its peers: a
// bounded pool of reachable peers gossips, and all others attach to two of
// them, which hold them.
//
// A small mesh is all pool. Beyond that, and for peers that others cannot
// reach, [Judge] says who belongs where. A peer of the pool tells the others,
// itself and once, whom it holds (its claims); an attached peer counts as
// alive while a peer of the pool that is alive holds it. The lease of such a
// claim is the connection: it is given up when that is silent for
// [Config.Silence], and it ends a while after the peer that made it. One of
// its two holders tells an attached peer what changed among all.
//
// Both kinds of news are versioned lists, sent as what changed since the
// receiver last said what it has; names and numbers first, descriptors to who
// lacks them. So nothing is sent while nothing changes.
//
// [Tiers] does what the pure functions of decide.go decide. It reaches others
// through a [Network], gossips through a [Pool] and tells a [Book] what it
// finds.
//
// Elsewhere: mesh implements all three; memberlist detects who of the pool
// fails.
package tiers
