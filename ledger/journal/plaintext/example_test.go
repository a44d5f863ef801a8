package plaintext_test

import (
	"fmt"
	"os"
	"time"

	"github.com/slapmesh/slapmesh/ledger/journal"
	"github.com/slapmesh/slapmesh/ledger/journal/plaintext"
)

// Ann paid Bob for an instance, which a program shall read.
func Example() {
	paid := journal.Entry{
		N: 12, At: journal.UnixNano(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC).UnixNano()), Kind: "charged", Instance: 7,
		Postings: []journal.Posting{{Account: "ann", Amount: -1_500_000}, {Account: "bob", Amount: 1_500_000}},
	}
	entries := func(yield func(journal.Entry, error) bool) { yield(paid, nil) } // or what Journal.Entries gives
	if err := plaintext.Write(os.Stdout, plaintext.JSON, entries, plaintext.Options{}); err != nil {
		panic(err)
	}
	fmt.Println(plaintext.Ledger.Account("ann; smith"), plaintext.Beancount.Account("ann; smith"))
	// Output:
	// [
	// {"entry":12,"log_index":0,"time":"2026-11-22T09:00:00Z","kind":"charged","instance":7,"postings":[{"account":"ann","amount":"-1.500000","micro_credits":-1500000},{"account":"bob","amount":"1.500000","micro_credits":1500000}]}
	// ]
	// Assets:Wallets:ann%3B smith Assets:Wallet-ann--3B---20-smith
}
