//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/slapmesh/slapmesh/cmd/slapd/command"
)

// watchSize tells the terminal's size each time it has another, until stop is
// called.
func watchSize(size func() command.TerminalSize) (sizes <-chan command.TerminalSize, stop func()) {
	resized, ended, out := make(chan os.Signal, 1), make(chan struct{}), make(chan command.TerminalSize)
	signal.Notify(resized, syscall.SIGWINCH)
	go func() {
		for {
			select {
			case <-resized:
			case <-ended:
				return
			}
			select {
			case out <- size():
			case <-ended:
				return
			}
		}
	}()
	return out, func() {
		signal.Stop(resized)
		close(ended)
	}
}
