package ledger

import (
	"fmt"
	"testing"
	"time"
)

// TestRefusalsDoNotFillTheJournal: who asks what they may not is in the
// journal, once an hour each, and no crowd of them fills it.
func TestRefusalsDoNotFillTheJournal(t *testing.T) {
	w := given(t, home)
	const crowd = 2 * maxRefusals
	for n := range crowd {
		w.Evolve(AccountOpened{Account{Name: AccountName(fmt.Sprint("u", n)), Created: noon}})
	}
	for hour := range 3 {
		before, told := w.Counters().Facts, 0
		for range 4 {
			for n := range crowd {
				events, err := w.ask(AsAccount(AccountName(fmt.Sprint("u", n))), SetLimit{Account: "ann"})
				if CodeOf(err) != ErrForbidden {
					t.Fatalf("u%d limits ann: %v", n, err)
				}
				told += len(events)
			}
		}
		if facts := int(w.Counters().Facts - before); told != maxRefusals || facts != told {
			t.Errorf("hour %d: %d refusals of %d were told, with %d facts; want %d", hour, told, 4*crowd, facts, maxRefusals)
		}
		w.at = w.at.Add(refusalPause + time.Second)
	}
}
