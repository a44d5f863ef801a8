// Package client asks a peer over HTTP. A [Client] is a [protocol.Service], so
// what is written against one works inside the daemon as well.
//
// A refusal arrives as the [*protocol.Error] that it was. A peer that does not
// answer is one too, with the code unavailable and a line that says what to do.
// Nothing is tried twice: whoever asked decides that.
package client
