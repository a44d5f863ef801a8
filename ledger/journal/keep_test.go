package journal

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

func TestCheckpoint(t *testing.T) {
	a, va := voter(t, "a")
	b, _ := voter(t, "b")
	stranger, _ := voter(t, "x")
	other := func() note.Signer { // another key in the name of a
		key := ed25519.NewKeyFromSeed(make([]byte, 32))
		s, err := NewSigner("a", key.Public().(ed25519.PublicKey), func(m []byte) []byte { return ed25519.Sign(key, m) })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}()
	c := Checkpoint{"mesh-1", 7, Hash{1}}
	sign := func(c Checkpoint, signers ...note.Signer) string {
		s, err := Sign(c, signers...)
		if err != nil {
			t.Fatal(err)
		}
		return string(s.Text())
	}
	good := sign(c, a, b)
	if want := "mesh-1\n7\nAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— a "; !strings.HasPrefix(good, want) {
		t.Errorf("note %q", good)
	}
	raw := func(text string) string {
		n, err := note.Sign(&note.Note{Text: text}, a, b)
		if err != nil {
			t.Fatal(err)
		}
		return string(n)
	}
	root := strings.Split(good, "\n")[2]
	for _, test := range []struct {
		name, when string
		fault      string
	}{
		{"signed by a quorum", good, ""},
		{"with a stranger's signature", sign(c, a, stranger, b), ""},
		{"signed by one", sign(c, a), "checkpoint 7: signed by 1, want 2"},
		{"signed by one and a stranger", sign(c, a, stranger), "signed by 1"},
		{"signed by one twice", sign(c, a, other), "signed by 1"},
		{"signed by strangers", sign(c, stranger), "checkpoint: note has no verifiable signatures"},
		{"of another mesh", sign(Checkpoint{"mesh-2", 7, Hash{1}}, a, b), "checkpoint of \"mesh-2\""},
		{"changed", strings.Replace(good, "\n7\n", "\n8\n", 1), "invalid signature"},
		{"cut short", good[:len(good)-9], "malformed note"},
		{"empty", "", "malformed note"},
		{"too long", strings.Repeat("a", MaxCheckpoint+1), "at most"},
		{"no size", raw("mesh-1\nx\n" + root + "\n"), "not a size"},
		{"a huge size", raw("mesh-1\n99999999999999999999\n" + root + "\n"), "not a size"},
		{"another form of the size", raw("mesh-1\n07\n" + root + "\n"), "not the one form"},
		{"no root", raw("mesh-1\n7\nAQ==\n"), "not a hash"},
		{"another line", raw("mesh-1\n7\n" + root + "\nmore\n"), "three lines"},
		{"no origin", raw("\n7\n" + root + "\n"), "three lines"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := trust(t).Open([]byte(test.when))
			if (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
				t.Fatalf("error %v, want %q", err, test.fault)
			}
			if err == nil && (s.Checkpoint != c || len(s.Signers()) != 2) {
				t.Errorf("%+v", s)
			}
		})
	}
	one, err := Sign(c, a)
	if err != nil {
		t.Fatal(err)
	}
	two, err := one.Cosign(b)
	if err != nil || string(two.Text()) != good || len(two.Signers()) != 2 {
		t.Errorf("cosigned %q, %v", two.Text(), err)
	}
	if _, err := Sign(Checkpoint{Origin: "a\nb"}, a); err == nil {
		t.Error("signed two lines of origin")
	}
	if _, err := Sign(c); err == nil {
		t.Error("signed by nobody")
	}
	if _, err := (Trust{Origin: "mesh-1", Verifiers: note.VerifierList(va)}).Open([]byte(good)); err != nil {
		t.Error("a quorum of nobody is one:", err)
	}
}

func TestKeep(t *testing.T) {
	honest, forged := open(t, t.TempDir()), open(t, t.TempDir())
	add(t, honest, 1, 300)
	add(t, forged, 1, 100)
	add(t, forged, 2, 300) // the same beginning
	for _, test := range []struct {
		name   string
		given  uint64 // entries of our own
		kept   []Signed
		when   Signed
		prove  Prover
		proven bool
		fault  string
	}{
		{"of our entries", 200, nil, signed(t, honest, 150), nil, true, ""},
		{"of all our entries", 200, nil, signed(t, honest, 200), nil, true, ""},
		{"of nothing", 200, nil, signed(t, honest, 0), nil, true, ""},
		{"again", 200, []Signed{signed(t, honest, 150)}, signed(t, honest, 150), nil, true, ""},
		{"ahead", 200, nil, signed(t, honest, 250), nil, false, ""},
		{"ahead, proven", 200, nil, signed(t, honest, 250), honest.ProveConsistency, false, ""},
		{"ahead of what is ahead, proven", 200, []Signed{signed(t, honest, 210)}, signed(t, honest, 250), honest.ProveConsistency, false, ""},
		{"between, proven", 0, []Signed{signed(t, honest, 210), signed(t, honest, 290)}, signed(t, honest, 250), honest.ProveConsistency, false, ""},
		{"common to both", 200, nil, signed(t, forged, 100), nil, true, ""},
		{"forged", 200, nil, signed(t, forged, 150), nil, false, "CONTRADICTION"},
		{"forged below a checkpoint", 200, []Signed{signed(t, honest, 180)}, signed(t, forged, 150), nil, false, "earlier this was signed:\nmesh-1\n180"},
		{"forged at a checkpoint", 0, []Signed{signed(t, honest, 150)}, signed(t, forged, 150), nil, false, "earlier this was signed:\nmesh-1\n150"},
		{"forged ahead", 200, nil, signed(t, forged, 250), forged.ProveConsistency, false, "keep checkpoint 250: tree of 200 in tree of 250: the proof does not hold"},
		{"forged between", 0, []Signed{signed(t, honest, 90), signed(t, honest, 290)}, signed(t, forged, 250), forged.ProveConsistency, false, "tree of 250 in tree of 290"},
		{"forged ahead, found later", 200, []Signed{signed(t, forged, 199)}, signed(t, honest, 200), nil, false, "CONTRADICTION"},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := open(t, t.TempDir())
			for _, c := range test.kept { // before the entries came
				if err := j.Keep(c, nil); err != nil {
					t.Fatal(err)
				}
			}
			add(t, j, 1, test.given)
			if strings.Contains(test.name, "below") { // it was compared
				if err := j.Keep(signed(t, honest, 1), nil); err != nil {
					t.Fatal(err)
				}
			}
			err := j.Keep(test.when, test.prove)
			if (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
				t.Fatalf("error %v, want %q", err, test.fault)
			}
			checkKept(t, j, test.when, test.proven, err)
		})
	}
}

func checkKept(t *testing.T, j *Journal, c Signed, proven bool, err error) {
	t.Helper()
	kept, listErr := j.Checkpoints()
	if listErr != nil {
		t.Fatal(listErr)
	}
	found := false
	for _, k := range kept {
		if k.Checkpoint == c.Checkpoint && k.Checked == proven {
			found = true
		}
	}
	if err == nil && !found {
		t.Errorf("not kept: %+v", kept)
	}
	evidence, listErr := j.Evidence()
	if listErr != nil {
		t.Fatal(listErr)
	}
	var contradiction *ContradictionError
	if errors.As(err, &contradiction) != (len(evidence) == 1) {
		t.Errorf("evidence %v", evidence)
	}
}

// TestKeepMany keeps the newest checkpoints, and of the older ones as many as
// there are powers of two.
func TestKeepMany(t *testing.T) {
	j := open(t, t.TempDir())
	for size := uint64(1); size <= 1000; size++ {
		add(t, j, 1, size)
		if err := j.Keep(signed(t, j, size), nil); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := j.Checkpoints()
	if err != nil {
		t.Fatal(err)
	}
	var sizes []string
	for _, k := range kept[:len(kept)-keptNewest] {
		sizes = append(sizes, fmt.Sprint(k.Checkpoint.Size))
	}
	if have, want := strings.Join(sizes, " "), "1 2 4 8 16 32 64 128 256 512"; have != want {
		t.Errorf("kept %s, want %s", have, want)
	}
	if first := kept[len(kept)-keptNewest].Checkpoint.Size; first != 1000-keptNewest+1 {
		t.Errorf("the newest begin with %d", first)
	}
	if v := verify(t, j); v.Checkpoints != len(kept) {
		t.Errorf("verified %d checkpoints of %d", v.Checkpoints, len(kept))
	}
}
