//go:build !linux

package limits

import (
	"os/exec"
	"runtime"
)

// A Tree is where control groups are made: nowhere on this system.
type Tree struct{}

// Open returns a tree whose groups bound nothing.
func Open(Limits) *Tree { return &Tree{} }

// Lacks lists what the groups cannot bound, of cpu, memory and pids, and says
// why.
func (t *Tree) Lacks() (lacks []string, why string) {
	return []string{"cpu", "memory", "pids"}, "control groups are Linux's, and this is " + runtime.GOOS
}

// Group names the group of the partition in a folder.
func (t *Tree) Group(string) *Group { return &Group{} }

// A Group is the control group of one partition, which never exists here.
type Group struct{}

// Folders returns where the group is: nowhere.
func (g *Group) Folders() []string { return nil }

// Exists says whether the group was made and not removed.
func (g *Group) Exists() bool { return false }

// Make makes nothing: what a partition uses is not bounded here.
func (g *Group) Make(Limits) error { return nil }

// Start starts a command like any other.
func (g *Group) Start(cmd *exec.Cmd) error { return cmd.Start() }

// OutOfMemory returns how often the kernel had to end a process of the group.
func (g *Group) OutOfMemory() uint64 { return 0 }

// Memory returns the bytes that the group may use: zero is as much as there is.
func (g *Group) Memory() int64 { return 0 }

// Kill ends nobody: the members of a partition are found in other ways.
func (g *Group) Kill() error { return nil }

// Remove removes nothing.
func (g *Group) Remove() error { return nil }

// OnThread calls f. No thread of this system has anything of its own that f
// could change.
func OnThread(f func() error) error { return f() }
