// Package command is the command line of slapd: one file a verb, one table of
// all of them.
//
// A verb reads its flags, asks a [protocol.Service] and prints the answer. It
// reaches the world through [Config] only, so that tests and the demo run whole
// command lines in-process. The verbs that run a peer ask a [Peer].
//
// Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 not ready in time.
package command
