package taste

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/slapmesh/slapmesh/partition/release"
)

// Is says whether a program started with args (its name first) is to try a
// profile and must call [Main], before anything else.
func Is(args []string) bool { return len(args) > 1 && args[1] == Verb }

// Main tries the profile on standard input, and returns the exit status. It
// may not return: then the profile is not good.
func Main() int {
	debug.SetMemoryLimit(Memory / 2) // collect before the kernel has to refuse
	if err := bound(Memory); err != nil {
		fmt.Fprintln(os.Stderr, "taste:", err)
		return 1
	}
	var q question
	if err := json.NewDecoder(io.LimitReader(os.Stdin, maxQuestion)).Decode(&q); err != nil {
		fmt.Fprintln(os.Stderr, "taste:", err)
		return 1
	}
	evaluate(q)
	if _, err := io.WriteString(os.Stdout, answer); err != nil {
		return 1
	}
	return 0
}

// maxQuestion bounds what is read: a bundle, and an input with a thousand
// shared instances.
const maxQuestion = 64 << 20

// evaluate does what will be done elsewhere. Ordinary faults do not matter.
func evaluate(q question) {
	b, err := release.DecodeBundle(q.Bundle)
	if err != nil {
		return
	}
	r, err := release.Load(b)
	if err != nil || q.Input == nil {
		return
	}
	in := q.Input
	_, _ = r.Evaluate(release.Input{
		Type: in.Type, Parameters: in.Parameters, Reference: in.Reference, Address: in.Address, Root: in.Root,
		Secret: func(name string) string { return Secret(in.Secrets, in.Seed, name) },
		Shared: in.Shared, Gone: in.Gone, Children: in.Children,
	})
}

// Secret returns the secret of a name: the one that is there, or else one made
// of the seed. Who evaluates what was tried gives the same, or a profile could
// tell the one from the other.
func Secret(have map[string]string, seed, name string) string {
	if s, ok := have[name]; ok {
		return s
	}
	mac := hmac.New(sha256.New, []byte(seed))
	mac.Write([]byte(name))
	return base32.StdEncoding.EncodeToString(mac.Sum(nil))[:26]
}
