package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"reflect"
	"strings"
	"testing"
)

// TestLeaf holds the byte form, which is for ever: what is hashed into the
// tree of a mesh today must have the same hash in ten years.
func TestLeaf(t *testing.T) {
	for _, test := range []struct {
		name  string
		given Entry
		then  string
	}{
		{"the least", Entry{Kind: "k"}, "a401000200030004616b"},
		{
			"the most",
			Entry{
				N: 1, Index: 2, At: 3, Kind: "charged", Principal: "token t", Peer: "p", Account: "a", Instance: 4, Computer: "c",
				Postings: []Posting{{"a", -1500}, {"mesh", 1500}}, Rest: Commitment{1},
			},
			"ab0101020203030467636861726765640567746f6b656e2074066170076161080409616" +
				"30a82a2016161023905dba201646d657368021905dc0b58200100000000000000000000000000000000000000000000000000000000000000",
		},
		{"what was used", Entry{Kind: "k", Used: []Quantity{{"requests", 3}}}, "a501000200030004616b0c81a2016872657175657374730203"},
	} {
		leaf, err := test.given.Leaf()
		if err != nil || hex.EncodeToString(leaf) != test.then {
			t.Errorf("%s: %x, %v", test.name, leaf, err)
		}
		again, err := ParseLeaf(leaf)
		if err != nil || !reflect.DeepEqual(again, test.given) {
			t.Errorf("%s: %+v, %v", test.name, again, err)
		}
	}
	full := Entry{N: math.MaxUint64, Index: math.MaxUint64, At: math.MinInt64, Instance: math.MaxUint64, Rest: Commitment{1}}
	full.Kind = strings.Repeat("k", MaxKind)
	long := strings.Repeat("n", MaxName)
	full.Principal, full.Peer, full.Account, full.Computer = long, long, long, long
	for range MaxPostings {
		full.Postings = append(full.Postings, Posting{long, math.MinInt64})
	}
	for range MaxUsed {
		full.Used = append(full.Used, Quantity{long, math.MaxUint64})
	}
	if leaf, err := full.Leaf(); err != nil || len(leaf) > MaxLeaf {
		t.Errorf("the largest leaf has %d bytes, %v", len(leaf), err)
	}
}

func TestLeafRefused(t *testing.T) {
	long := strings.Repeat("n", MaxName+1)
	for _, test := range []struct {
		name  string
		given Entry
		fault string
	}{
		{"no kind", Entry{}, "kind required"},
		{"a long kind", Entry{Kind: long}, "kind"},
		{"a kind that is no text", Entry{Kind: "\xff"}, "kind"},
		{"a long principal", Entry{Kind: "k", Principal: long}, "name"},
		{"a long peer", Entry{Kind: "k", Peer: long}, "name"},
		{"a long account", Entry{Kind: "k", Account: long}, "name"},
		{"a computer that is no text", Entry{Kind: "k", Computer: "\xff"}, "name"},
		{"a posting to nobody", Entry{Kind: "k", Postings: make([]Posting, 1)}, "account required"},
		{"a posting to a long name", Entry{Kind: "k", Postings: []Posting{{Account: long}}}, "name"},
		{"many postings", Entry{Kind: "k", Postings: make([]Posting, MaxPostings+1)}, "65 postings"},
	} {
		if _, err := test.given.Leaf(); err == nil || !strings.Contains(err.Error(), test.fault) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	for _, test := range []struct{ name, given string }{
		{"empty", ""},
		{"a long form of a number", "a40118000200030004616b"},
		{"another order", "a402000100030004616b"},
		{"a field twice", "a4010001000200030004616b"},
		{"an unknown field", "a501000200030004616b0c00"},
		{"an empty field", "a501000200030004616b0560"},
		{"more behind", "a401000200030004616b00"},
		{"an endless string", "a40100020003000 47f616bff"},
		{"a float", "a4010002000300f9000004616b"},
		{"a tag", "a40100020003000 4c1616b"},
		{"a short commitment", "a501000200030004616b0b4101"},
	} {
		data, _ := hex.DecodeString(strings.ReplaceAll(test.given, " ", ""))
		if e, err := ParseLeaf(data); err == nil {
			t.Errorf("%s: %+v", test.name, e)
		}
	}
	if _, err := ParseLeaf(make([]byte, MaxLeaf+1)); err == nil {
		t.Error("a long leaf")
	}
}

func TestCommitment(t *testing.T) {
	secret := Secret(sha256.Sum256([]byte("secret")))
	salt := secret.Salt(7)
	c := salt.Commit([]byte("rest"))
	if !c.Opens(salt, []byte("rest")) {
		t.Error("does not open")
	}
	for name, wrong := range map[string]bool{
		"another rest":     c.Opens(salt, []byte("rests")),
		"another number":   c.Opens(secret.Salt(8), []byte("rest")),
		"another secret":   c.Opens(Secret{}.Salt(7), []byte("rest")),
		"nothing":          Commitment{}.Opens(salt, nil),
		"the same salt":    salt == secret.Salt(8),
		"a salt that says": bytes.Contains(salt[:], secret[:8]),
	} {
		if wrong {
			t.Error(name)
		}
	}
	// The form is for ever.
	if have, want := hex.EncodeToString(c[:8]), "eb7fbed3a87af7d4"; have != want {
		t.Errorf("commitment %s, want %s", have, want)
	}
}

func FuzzParseLeaf(f *testing.F) {
	for n := range uint64(20) {
		e := someEntry(1, n)
		leaf, _ := e.Leaf()
		f.Add(leaf)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := ParseLeaf(in)
		if err != nil {
			return
		}
		if again, err := e.Leaf(); err != nil || !bytes.Equal(again, in) {
			t.Errorf("%x is read as %+v, which is %x, %v", in, e, again, err)
		}
	})
}

func FuzzParseChunk(f *testing.F) {
	j := must(Open(f.TempDir(), Options{}))
	add(f, j, 1, 100)
	for _, from := range []uint64{0, 50, 99} {
		f.Add(must(must(j.Chunk(from, 100)).Encode()))
	}
	if err := j.Close(); err != nil { // what it does aside would disturb the fuzzer
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := ParseChunk(in)
		if err != nil {
			return
		}
		if _, err := c.Encode(); err != nil {
			t.Error(err)
		}
	})
}

func FuzzParseFrontier(f *testing.F) {
	f.Add(must(EncodeFrontier(Frontier{})))
	f.Add(must(EncodeFrontier(Frontier{5, make([]Hash, 2)})))
	f.Fuzz(func(t *testing.T, in []byte) {
		if frontier, err := ParseFrontier(in); err == nil {
			_ = frontier.Root()
			if _, err := EncodeFrontier(frontier); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzOpenCheckpoint(f *testing.F) {
	text := string(signedRoot(f, 7, Hash{1}).Text())
	f.Add(text)
	f.Add(strings.Replace(text, "7", "8", 1))
	f.Add("mesh-1\n7\n\n\n— a x\n")
	tr := trust(f)
	f.Fuzz(func(t *testing.T, in string) {
		if s, err := tr.Open([]byte(in)); err == nil && s.String() != "mesh-1\n7\n"+(Hash{1}).String()+"\n" {
			t.Errorf("nobody signed %+v", s)
		}
		if c, err := parseCheckpoint(in); err == nil && c.String() != in {
			t.Errorf("%q is read as %q", in, c)
		}
	})
}
