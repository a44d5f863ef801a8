package taste_test

import (
	"encoding/json"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/partition/taste"
)

func TestMain(m *testing.M) {
	if taste.Is(os.Args) {
		os.Exit(taste.Main())
	}
	os.Exit(m.Run())
}

const head = `release(name = "x", version = "1", sources = [debian("bash")], parameters = {"n": integer("N", default = 1)})` + "\n"

func bundle(t *testing.T, body string) []byte {
	t.Helper()
	b, err := release.NewBundle(map[string][]byte{release.Main: []byte(head + body)})
	if err != nil {
		t.Fatal(err)
	}
	return b.Encode()
}

// TestBombs throws at the process what would bring this one down, or hold it
// up: it dies, or says what is wrong, and soon.
func TestBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes all the memory that a profile may")
	}
	in := &taste.Input{Address: netip.MustParseAddr("127.64.0.1"), Seed: "s", Secrets: map[string]string{"password": "REAL"}}
	const fine = "def instance(i):\n    i.service('s', ['x', i.secret()])\n"
	tests := []struct {
		name, body string
		dies       bool
	}{
		{"a sound profile", fine, false},
		{"faults are for who evaluates it", "def instance(i):\n    fail('no')\n", false},
		{"recursion", "def f(n):\n    return f(n)\ndef instance(i):\n    f(1)\n", false},
		{"endless", "def instance(i):\n    for a in range(1 << 60):\n        pass\n", false},
		{"100 MB of output", "def instance(i):\n    i.file('big', content = 'x' * (100 << 20))\n", true},
		{"a string that doubles", "def instance(i):\n    s = 'x'\n    for n in range(60):\n        s += s\n", true},
		{"a list that doubles", "def instance(i):\n    s = [1]\n    for n in range(60):\n        s = s + s\n", true},
		{"one step", "s = 'x' * (1 << 20)\nt = s.replace('x', s)\n" + fine, true},
		{"one step of a list", "def instance(i):\n    s = [0] * (1 << 29)\n", true},
		{"only with a real secret", "def instance(i):\n    if i.secret() == 'REAL':\n        s = 'x' * (1 << 20)\n        s = s.replace('x', s)\n", true},
	}
	taster := &taste.Taster{Program: os.Args[0]}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			begun := time.Now()
			err := taster.Taste(bundle(t, test.body), in)
			if (err != nil) != test.dies || err != nil && !strings.Contains(err.Error(), "more than 128 MiB of memory") {
				t.Errorf("after %v: %v", time.Since(begun), err)
			}
			t.Log(time.Since(begun).Round(time.Millisecond))
			if again := taster.Taste(bundle(t, test.body), in); (again != nil) != test.dies {
				t.Errorf("again: %v", again)
			}
		})
	}
	t.Run("with other parameters", func(t *testing.T) {
		b := bundle(t, "def instance(i):\n    s = 'x' * (1 << i.params.n)\n    s = s.replace('x', s)\n")
		if err := taster.Taste(b, in); err != nil {
			t.Error(err)
		}
		other := *in
		other.Parameters = map[string]json.RawMessage{"n": json.RawMessage("22")}
		if err := taster.Taste(b, &other); err == nil {
			t.Error("it is good")
		}
	})
}

// TestTrusted holds that nothing is started for what is trusted, and that
// nothing is good that could not be tried.
func TestTrusted(t *testing.T) {
	b := bundle(t, "def instance(i):\n    pass\n")
	if err := (*taste.Taster)(nil).Taste(b, nil); err != nil {
		t.Error(err)
	}
	trusting := &taste.Taster{Program: "/nowhere", Trusts: func(digest string) bool { return strings.HasPrefix(digest, "sha256:") }}
	if err := trusting.Taste(b, nil); err != nil {
		t.Error(err)
	}
	if err := (&taste.Taster{Program: "/nowhere"}).Taste(b, nil); err == nil {
		t.Error("a program that is not there finds it good")
	}
}

// BenchmarkTaste is what a stranger's profile costs the first time.
func BenchmarkTaste(b *testing.B) {
	made, err := release.NewBundle(map[string][]byte{release.Main: []byte(head + "def instance(i):\n    pass\n")})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := (&taste.Taster{Program: os.Args[0]}).Taste(made.Encode(), nil); err != nil {
			b.Fatal(err)
		}
	}
}
