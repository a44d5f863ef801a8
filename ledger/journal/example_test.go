package journal_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"

	"github.com/slapmesh/slapmesh/ledger/journal"
)

// voters returns the keys of two voters.
func voters() (signers []note.Signer, trust journal.Trust) {
	var verifiers []note.Verifier
	for i, name := range []string{"peer-1", "peer-2"} {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i)}, ed25519.SeedSize))
		public := key.Public().(ed25519.PublicKey)
		signer, err := journal.NewSigner(name, public, func(m []byte) []byte { return ed25519.Sign(key, m) })
		if err != nil {
			panic(err)
		}
		verifier, err := journal.NewVerifier(name, public)
		if err != nil {
			panic(err)
		}
		signers, verifiers = append(signers, signer), append(verifiers, verifier)
	}
	return signers, journal.Trust{Origin: "mesh-1", Verifiers: note.VerifierList(verifiers...), Quorum: 2}
}

// opened returns a journal, and what to do when it is not needed any more.
func opened() (*journal.Journal, func()) {
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		panic(err)
	}
	j, err := journal.Open(dir, journal.Options{})
	if err != nil {
		panic(err)
	}
	return j, func() {
		if err := errors.Join(j.Close(), os.RemoveAll(dir)); err != nil {
			panic(err)
		}
	}
}

// A voter records what was decided, signs what the history is now, and hands
// it to somebody who trusts nobody.
func Example() {
	j, done := opened()
	defer done()

	secret := journal.Secret{1} // of the mesh, in the replicated state
	_, err := j.Append(
		journal.Entry{
			N: 0, Index: 7, Kind: "allocated", Account: "alice", Instance: 1, Computer: "c1",
			Rest: secret.Salt(0).Commit([]byte("database=wordpress")),
		},
		journal.Entry{
			N: 1, Index: 8, Kind: "charged", Account: "alice", Instance: 1, Computer: "c1",
			Postings: []journal.Posting{{Account: "alice", Amount: -1500}, {Account: "bob", Amount: 1500}},
		},
	)
	if err != nil {
		panic(err)
	}
	for e, err := range j.Entries(journal.Query{Account: "bob"}) {
		fmt.Println(e.N, e.Kind, e.Postings, err)
	}

	signers, trust := voters()
	f := j.Frontier()
	checkpoint, err := journal.Sign(journal.Checkpoint{Origin: "mesh-1", Size: f.Size, Root: f.Root()}, signers...)
	if err != nil {
		panic(err)
	}
	if err := j.Keep(checkpoint, nil); err != nil {
		panic(err)
	}
	fmt.Print(checkpoint.Checkpoint)

	var file bytes.Buffer
	if err := j.Export(context.Background(), &file, 0, 2); err != nil {
		panic(err)
	}
	report, err := journal.VerifyExport(bytes.NewReader(file.Bytes()), trust, nil)
	fmt.Println(report.Proven, "entries are proven", err)

	file.Bytes()[file.Len()-100] ^= 1
	_, err = journal.VerifyExport(bytes.NewReader(file.Bytes()), trust, nil)
	fmt.Println(err)
	// Output:
	// 1 charged [{alice -1500} {bob 1500}] <nil>
	// mesh-1
	// 2
	// 1Dw3NTJtCQk+NmklTOSRqlkur7AhGt76ayvexGS71dI=
	// 2 entries are proven <nil>
	// export: at entry 1: changed: its checksum is another
}

// Who holds a checkpoint needs an entry and a few hashes, not the journal.
func ExampleVerifyInclusion() {
	j, done := opened()
	defer done()
	for n := range uint64(1000) {
		if _, err := j.Append(journal.Entry{N: n, Kind: "charged", Account: "alice"}); err != nil {
			panic(err)
		}
	}
	root, err := j.Root(1000)
	if err != nil {
		panic(err)
	}
	proof, err := j.ProveInclusion(77, 1000)
	if err != nil {
		panic(err)
	}
	entry := journal.Entry{N: 77, Kind: "charged", Account: "alice"}
	leaf, err := entry.Leaf()
	if err != nil {
		panic(err)
	}
	fmt.Println(len(proof), "hashes:", journal.VerifyInclusion(proof, 1000, root, 77, leaf))
	entry.Account = "bob"
	if leaf, err = entry.Leaf(); err != nil {
		panic(err)
	}
	fmt.Println(journal.VerifyInclusion(proof, 1000, root, 77, leaf))
	// Output:
	// 10 hashes: <nil>
	// entry 77 in 1000: the proof does not hold: invalid transparency proof
}
