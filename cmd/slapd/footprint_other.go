//go:build !linux

package main

// releaseProgram does nothing: other systems decide by themselves.
func releaseProgram() error { return nil }
