//go:build !unix

package main

import "github.com/slapmesh/slapmesh/cmd/slapd/command"

// watchSize tells nothing: this system has no signal for it.
func watchSize(func() command.TerminalSize) (sizes <-chan command.TerminalSize, stop func()) {
	return nil, func() {}
}
