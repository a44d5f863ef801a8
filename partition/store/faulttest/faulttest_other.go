//go:build !linux

package faulttest

import (
	"errors"
	"os/exec"
)

// Watch is for Linux.
func Watch() error { return errors.ErrUnsupported }

// Run is for Linux.
func Run(*exec.Cmd, string, func(Call) Action) error { return errors.ErrUnsupported }
