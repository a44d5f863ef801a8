package main

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/term"

	"github.com/slapmesh/slapmesh/cmd/slapd/command"
)

// takeTerminal hands the user's keys over as they are typed, until the result's
// Restore is called.
func takeTerminal() (*command.Terminal, error) {
	in, out := int(os.Stdin.Fd()), int(os.Stdout.Fd())
	if !term.IsTerminal(in) || !term.IsTerminal(out) {
		return nil, errors.New("standard input and output are no terminal")
	}
	before, err := term.MakeRaw(in)
	if err != nil {
		return nil, err
	}
	size := func() (s command.TerminalSize) {
		if columns, rows, err := term.GetSize(out); err == nil {
			s = command.TerminalSize{Rows: uint16(rows), Columns: uint16(columns)}
		}
		return s
	}
	sizes, stop := watchSize(size)
	return &command.Terminal{
		Size: size(), Sizes: sizes,
		Restore: sync.OnceFunc(func() {
			stop()
			_ = term.Restore(in, before)
		}),
	}, nil
}
