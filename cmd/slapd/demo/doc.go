// Package demo runs the main job on this machine, on real parts: a mesh of
// several peers as processes of their own, real databases, a leader that is
// killed, and nothing lost. Every step tells what it does and how long it
// took; a step that fails ends the demo with its reason.
package demo
