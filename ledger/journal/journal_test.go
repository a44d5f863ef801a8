package journal

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func TestMain(m *testing.M) {
	crashWriter() // does not return in the child of TestKilled
	if os.Getenv(brokenStores) != "" {
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}

// open opens a journal that is closed when the test ends.
func open(tb testing.TB, dir string) *Journal {
	tb.Helper()
	j, err := Open(dir, Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := j.Close(); err != nil {
			tb.Error(err)
		}
	})
	return j
}

// someEntry returns the n-th entry of a history that the seed decides.
func someEntry(seed, n uint64) Entry {
	rng := rand.New(rand.NewPCG(seed, n))
	account := fmt.Sprintf("account-%d", rng.IntN(20))
	e := Entry{
		N: n, Index: n/2 + 7, At: UnixNano(1763800000e9 + int64(n)*1e6),
		Kind: "allocated", Principal: "token abcdefgh", Account: account,
		Instance: rng.Uint64N(50), Computer: fmt.Sprintf("computer-%d", rng.IntN(10)),
		Rest: Secret{1}.Salt(n).Commit([]byte("parameters")),
	}
	switch rng.IntN(4) {
	case 0:
		e.Kind, e.Postings = "charged", []Posting{{account, -1500}, {"mesh", 1500}, {"mesh", 0}}
	case 1:
		e.Account, e.Computer, e.Peer, e.Rest = "", "", "peer-1", Commitment{}
	}
	return e
}

func someEntries(seed, from, to uint64) []Entry {
	var entries []Entry
	for n := from; n < to; n++ {
		entries = append(entries, someEntry(seed, n))
	}
	return entries
}

// add appends the entries of a seed up to a size.
func add(tb testing.TB, j *Journal, seed, to uint64) {
	tb.Helper()
	for n := j.Size(); n < to; n = j.Size() {
		if _, err := j.Append(someEntries(seed, n, min(to, n+97))...); err != nil {
			tb.Fatal(err)
		}
	}
}

func verify(tb testing.TB, j *Journal) Verified {
	tb.Helper()
	v, err := j.Verify(tb.Context(), VerifyOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// A model is the tree as x/mod makes it, in memory.
type model struct{ hashes []Hash }

func (m *model) add(tb testing.TB, n uint64, leaf []byte) {
	tb.Helper()
	hashes, err := tlog.StoredHashes(int64(n), leaf, m)
	if err != nil {
		tb.Fatal(err)
	}
	m.hashes = append(m.hashes, hashes...)
}

func (m *model) ReadHashes(indexes []int64) ([]Hash, error) {
	hashes := make([]Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = m.hashes[index]
	}
	return hashes, nil
}

func (m *model) root(tb testing.TB, size uint64) Hash {
	tb.Helper()
	root, err := tlog.TreeHash(int64(size), m)
	if err != nil {
		tb.Fatal(err)
	}
	return root
}

func modelOf(tb testing.TB, entries []Entry) *model {
	tb.Helper()
	m := new(model)
	for i := range entries {
		leaf, err := entries[i].Leaf()
		if err != nil {
			tb.Fatal(err)
		}
		m.add(tb, entries[i].N, leaf)
	}
	return m
}

func TestAppend(t *testing.T) {
	other := func(n uint64) Entry {
		e := someEntry(1, n)
		e.Kind = "freed"
		return e
	}
	for _, test := range []struct {
		name  string
		given uint64 // entries
		when  []Entry
		then  uint64
		fault string
	}{
		{"nothing", 5, nil, 5, ""},
		{"the first", 0, someEntries(1, 0, 1), 1, ""},
		{"the next", 5, someEntries(1, 5, 8), 8, ""},
		{"a replay", 5, someEntries(1, 0, 5), 5, ""},
		{"a replay that goes on", 5, someEntries(1, 3, 9), 9, ""},
		{"a gap before", 5, someEntries(1, 6, 7), 5, "append entry 6: numbered with a gap: the journal has 5"},
		{"a gap inside", 5, append(someEntries(1, 5, 6), someEntry(1, 7)), 5, "append entry 7: numbered with a gap"},
		{"backwards", 5, []Entry{someEntry(1, 5), someEntry(1, 4)}, 5, "append entry 4: numbered with a gap"},
		{"another history", 5, []Entry{someEntry(1, 2), other(3)}, 5, "append entry 3: the journal holds another one"},
		{"another history, then more", 5, append([]Entry{other(4)}, someEntries(1, 5, 9)...), 5, "append entry 4"},
		{"a bad one after good ones", 5, append(someEntries(1, 5, 7), Entry{N: 7}), 5, "append entry 7: kind required"},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := open(t, t.TempDir())
			add(t, j, 1, test.given)
			size, err := j.Append(test.when...)
			if size != test.then || j.Size() != test.then {
				t.Errorf("size %d, want %d", size, test.then)
			}
			if (err == nil) != (test.fault == "") || err != nil && !strings.HasPrefix(err.Error(), test.fault) {
				t.Errorf("error %v, want %q", err, test.fault)
			}
			var mismatch *MismatchError
			if errors.As(err, &mismatch) != strings.Contains(test.name, "another history") {
				t.Errorf("error %T", err)
			}
			if v := verify(t, j); v.Size != test.then {
				t.Errorf("verified %d", v.Size)
			}
		})
	}
}

// TestReopen replays the log from anywhere after the journal was opened
// again.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	entries := someEntries(3, 0, 700)
	m := modelOf(t, entries)
	for _, size := range []uint64{0, 1, 255, 256, 257, 512, 700} {
		j, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Append(entries[:size]...); err != nil {
			t.Fatal(err)
		}
		if root, _ := j.Root(size); root != m.root(t, size) || j.Size() != size {
			t.Errorf("size %d, root %s", j.Size(), root)
		}
		if _, err := Open(dir, Options{}); err == nil {
			t.Error("opened twice")
		}
		verify(t, j)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := j.Append(entries...); err == nil {
			t.Error("appended to a closed journal")
		}
	}
}

// TestTree compares roots, proofs and tiles with those of x/mod.
func TestTree(t *testing.T) {
	const size = 2_600
	j := open(t, t.TempDir())
	entries := someEntries(4, 0, size)
	for chunk := range slices.Chunk(entries, 1000) {
		if _, err := j.Append(chunk...); err != nil {
			t.Fatal(err)
		}
	}
	m := modelOf(t, entries)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		n := 1 + rng.Uint64N(size)
		root, err := j.Root(n)
		if err != nil || root != m.root(t, n) {
			t.Fatalf("root of %d: %s, %v", n, root, err)
		}
		i := rng.Uint64N(n)
		leaf, _ := entries[i].Leaf()
		proof, err := j.ProveInclusion(i, n)
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifyInclusion(proof, n, root, i, leaf); err != nil {
			t.Fatal(err)
		}
		if err := VerifyInclusion(proof, n, root, i, append(leaf, 0)); !errors.Is(err, ErrProof) {
			t.Fatalf("a changed leaf: %v", err)
		}
		old := rng.Uint64N(n + 1)
		if proof, err = j.ProveConsistency(old, n); err != nil {
			t.Fatal(err)
		}
		oldRoot := m.root(t, old)
		if err := VerifyConsistency(proof, old, oldRoot, n, root); err != nil {
			t.Fatal(err)
		}
		if err := VerifyConsistency(proof, old, Hash{1}, n, root); !errors.Is(err, ErrProof) {
			t.Fatalf("a changed root: %v", err)
		}
	}
	for _, tile := range tlog.NewTiles(8, 0, size) {
		want, err := tlog.ReadTileData(tile, m)
		if err != nil {
			t.Fatal(err)
		}
		have, err := j.Tile(tile.L, uint64(tile.N), tile.W)
		if err != nil || !slices.Equal(have, want) {
			t.Fatalf("tile %s: %v", tile.Path(), err)
		}
	}
	for _, tile := range [][3]int{{0, 11, 1}, {0, 10, 41}, {-1, 0, 1}, {1, 0, 11}, {7, 0, 1}, {0, 0, 0}, {0, 0, 257}, {2, 0, 1}} {
		if _, err := j.Tile(tile[0], uint64(tile[1]), tile[2]); err == nil {
			t.Errorf("tile %v exists", tile)
		}
	}
	verify(t, j)
}

// TestHighTiles makes a tile of the third level out of as many entries as that
// needs.
func TestHighTiles(t *testing.T) {
	const size = 1 << 16
	j := open(t, t.TempDir())
	g := make([]Entry, 1<<9)
	for n := uint64(0); n < size; n = j.Size() {
		for i := range g {
			g[i] = Entry{N: n + uint64(i), Kind: "k"}
		}
		if _, err := j.Append(g...); err != nil {
			t.Fatal(err)
		}
	}
	root := must(j.Root(size))
	if tile := must(j.Tile(2, 0, 1)); Hash(tile) != root {
		t.Errorf("tile %x, root %s", tile, root)
	}
	var f Frontier
	var done [64]Hash
	tile := must(j.Tile(1, 0, 256))
	for i := range 256 {
		f.grow(Hash(tile[i*32:]), &done) // of nodes, not of entries
	}
	if f.Root() != root {
		t.Error("another root")
	}
}

func TestEmpty(t *testing.T) {
	j := open(t, t.TempDir())
	root, err := j.Root(0)
	if err != nil || root != sha256.Sum256(nil) {
		t.Errorf("root %s, %v", root, err)
	}
	if _, err := j.Root(1); err == nil {
		t.Error("a root of more than there is")
	}
	if _, err := j.ProveInclusion(0, 0); err == nil {
		t.Error("a proof of nothing")
	}
	if _, err := j.Entry(0); err == nil {
		t.Error("an entry of nothing")
	}
	for _, backwards := range []bool{false, true} {
		for e, err := range j.Entries(Query{Backwards: backwards}) {
			t.Errorf("entry %v, %v", e, err)
		}
	}
	verify(t, j)
}

// voter returns the keys of a voter.
func voter(tb testing.TB, name string) (note.Signer, note.Verifier) {
	tb.Helper()
	seed := sha256.Sum256([]byte(name))
	key := ed25519.NewKeyFromSeed(seed[:])
	s, err := NewSigner(name, key.Public().(ed25519.PublicKey), func(m []byte) []byte { return ed25519.Sign(key, m) })
	if err != nil {
		tb.Fatal(err)
	}
	v, err := NewVerifier(name, key.Public().(ed25519.PublicKey))
	if err != nil {
		tb.Fatal(err)
	}
	return s, v
}

// trust trusts the voters a, b and c, of which two must sign.
func trust(tb testing.TB) Trust {
	tb.Helper()
	var list []note.Verifier
	for _, name := range []string{"a", "b", "c"} {
		_, v := voter(tb, name)
		list = append(list, v)
	}
	return Trust{Origin: "mesh-1", Verifiers: note.VerifierList(list...), Quorum: 2}
}

// signed returns a checkpoint of j, signed by a and b.
func signed(tb testing.TB, j *Journal, size uint64) Signed {
	tb.Helper()
	root, err := j.Root(size)
	if err != nil {
		tb.Fatal(err)
	}
	return signedRoot(tb, size, root)
}

func signedRoot(tb testing.TB, size uint64, root Hash) Signed {
	tb.Helper()
	a, _ := voter(tb, "a")
	b, _ := voter(tb, "b")
	s, err := Sign(Checkpoint{"mesh-1", size, root}, a, b)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}
