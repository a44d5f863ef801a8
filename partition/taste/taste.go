// Package taste tries profiles of strangers in a process of their own, before
// this one evaluates them.
//
// A profile is a program. Its steps and its time are bounded where it is
// evaluated, but not its memory: the interpreter cannot count that, and a
// single step can ask for more than a computer has. Evaluation is pure, so a
// profile that was evaluated with an input in a process with little memory
// needs no more for the same input elsewhere. [Taster] runs that process, and
// remembers what was found good; [Main] is it.
//
// Elsewhere: package release evaluates, package catalog has profiles that need
// no tasting.
package taste

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/partition/release"
)

// Verb is the first argument that makes a program which calls [Main] the
// process in which profiles are tried.
const Verb = "taste-profile"

// The bounds of one evaluation.
const (
	Memory   = 128 << 20 // bytes
	Time     = 15 * time.Second
	maxKnown = 4096 // verdicts that are remembered
)

// An Input is what a profile is evaluated with, if it is, and not only read.
type Input struct {
	Type       string
	Parameters map[string]json.RawMessage
	Reference  string
	Address    netip.Addr
	Root       string
	Secrets    map[string]string // all that the profile may ask for
	Seed       string            // those that it asks for beside are made of
	Shared     []release.Shared
	Gone       []uint64
	Children   map[string]release.Child
}

// A Taster tries profiles. The zero value, and nil, find everything good.
type Taster struct {
	// Program is the program that calls [Main]; empty: nothing is tried.
	Program string

	// Trusts says of a bundle, by its digest, that it needs no tasting.
	Trusts func(digest string) bool

	mu       sync.Mutex
	verdicts map[[sha256.Size]byte]error
	busy     sync.Mutex // one at a time: they may take all the memory that they may
}

// Taste says whether a bundle can be read, and evaluated with in unless that
// is nil, within the bounds. A profile that is at fault in another way is
// good: who evaluates it will say what is wrong.
func (t *Taster) Taste(bundle []byte, in *Input) error {
	if t == nil || t.Program == "" {
		return nil
	}
	if t.Trusts != nil && t.Trusts(digestOf(bundle)) {
		return nil
	}
	asked, err := json.Marshal(question{bundle, in})
	if err != nil {
		return fmt.Errorf("taste: %w", err)
	}
	sum := sha256.Sum256(asked)
	if verdict, ok := t.known(sum); ok {
		return verdict
	}
	t.busy.Lock()
	defer t.busy.Unlock()
	if verdict, ok := t.known(sum); ok {
		return verdict
	}
	verdict := t.try(asked)
	if _, fault := errors.AsType[*release.Error](verdict); verdict != nil && !fault {
		return verdict // nothing is known
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.verdicts == nil || len(t.verdicts) >= maxKnown {
		t.verdicts = make(map[[sha256.Size]byte]error)
	}
	t.verdicts[sum] = verdict
	return verdict
}

func (t *Taster) known(sum [sha256.Size]byte) (verdict error, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	verdict, ok = t.verdicts[sum]
	return verdict, ok
}

func digestOf(bundle []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(bundle)) }

// try runs the process.
func (t *Taster) try(asked []byte) error {
	cmd := exec.Command(t.Program, Verb) //nolint:noctx // it ends soon, one way or the other
	cmd.Env = []string{"GOMAXPROCS=1", "GOTRACEBACK=none"}
	cmd.Stdin = bytes.NewReader(asked)
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout = &out
	err := cmd.Start()
	if err == nil {
		late := time.AfterFunc(Time, func() { _ = cmd.Process.Kill() })
		err = cmd.Wait()
		late.Stop()
	}
	switch {
	case err == nil && out.String() == answer:
		return nil
	case cmd.ProcessState == nil:
		return fmt.Errorf("taste: %w", err)
	}
	return &release.Error{
		File: release.Main, Message: fmt.Sprintf("the profile takes more than %d MiB of memory, or %v", Memory>>20, Time),
		Hint: "expected a profile that says what should be, and computes little",
	}
}

// question is what the process reads, answer what it writes if it lives.
type question struct {
	Bundle []byte
	Input  *Input
}

const answer = "good\n"
