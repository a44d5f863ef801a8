package ledger

import (
	"fmt"

	"github.com/slapmesh/slapmesh/ledger/book"
)

// maxCarried is how many balances one event carries over.
const maxCarried = 50

// CarriedOver says what accounts had when history began: a mesh is older than
// its journal if it was founded under rules that know none. It changes nothing.
type CarriedOver struct{ Transfer book.Transfer }

func (e CarriedOver) String() string {
	return fmt.Sprintf("carried over the balances of %d accounts", len(e.Transfer))
}

func (e CarriedOver) kind() string { return "carried-over" }

func (e CarriedOver) about() subject { return subject{quiet: true} }

func (e CarriedOver) moved() book.Transfer { return e.Transfer }

func (e CarriedOver) evolve(*State) {}

// carryOver returns what every account has, as if the mint had just paid it.
func (s *State) carryOver() ([]Event, error) {
	var events []Event
	var postings []book.Posting
	var sum book.Amount
	flush := func() error {
		if len(postings) == 0 {
			return nil
		}
		transfer, err := book.NewTransfer(append(postings, book.Posting{Account: MintAccount, Amount: -sum})...)
		if err != nil {
			return refuse(ErrInternal, "carry over balances: %v", err)
		}
		events, postings, sum = append(events, CarriedOver{transfer}), nil, 0
		return nil
	}
	for _, w := range s.wallets.all() {
		if w.Account == MintAccount || w.Balance == 0 {
			continue
		}
		postings, sum = append(postings, book.Posting{Account: string(w.Account), Amount: w.Balance}), sum+w.Balance
		if len(postings) == maxCarried {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	return events, flush()
}
