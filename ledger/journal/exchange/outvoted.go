package exchange

import (
	"errors"
	"fmt"

	"github.com/slapmesh/slapmesh/ledger/journal"
)

// An OutvotedError says that most of those who hold the ledger signed another
// history than ours: the fault is here, of a program or of a disk.
type OutvotedError struct {
	Signers, Holders int
}

func (e *OutvotedError) Error() string {
	return fmt.Sprintf("%d of %d peers that hold the ledger signed another history than this one's: the fault is here", e.Signers, e.Holders)
}

// outvoted returns an OutvotedError if most holders contradict what this peer
// holds, where err is what the last comparison said.
func (x *Exchange) outvoted(err error) error {
	if _, contradicted := errors.AsType[*journal.ContradictionError](err); !contradicted || !x.cfg.Holds() {
		return nil
	}
	evidence, err := x.cfg.Journal.Evidence()
	if err != nil {
		return nil //nolint:nilerr // what cannot be read shows nothing
	}
	trust, err := x.cfg.Trust()
	if err != nil {
		return nil //nolint:nilerr // nobody is believed yet
	}
	against := make(map[string]bool)
	for _, e := range evidence {
		c, err := trust.Open(e.New)
		if err != nil {
			continue
		}
		if ours, err := x.cfg.Journal.Root(c.Size); err != nil || ours == c.Root {
			continue // it contradicts somebody else
		}
		for _, signer := range c.Signers() {
			against[signer] = true
		}
	}
	delete(against, x.cfg.Signer.Name())
	if holders := len(x.cfg.Keepers()) + 1; 2*len(against) > holders {
		return &OutvotedError{len(against), holders}
	}
	return nil
}
