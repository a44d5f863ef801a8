package daemon

import (
	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/book"
	"github.com/slapmesh/slapmesh/protocol"
)

func wireNeeds(n ledger.Needs) protocol.Needs {
	return protocol.Needs{Millicores: n.Cores, Memory: n.Memory, Disk: n.Disk, Bandwidth: n.Bandwidth}
}

func ledgerNeeds(n protocol.Needs) ledger.Needs {
	return ledger.Needs{Cores: n.Millicores, Memory: n.Memory, Disk: n.Disk, Bandwidth: n.Bandwidth}
}

func ledgerAffinity(in protocol.RequestInput) ledger.Affinity {
	return ledger.Affinity{Near: named[ledger.Reference](in.Near), NearBy: in.NearBy, Apart: named[ledger.Reference](in.Apart), ApartBy: in.ApartBy}
}

// texts and named turn names of one kind into plain ones, and back.
func texts[T ~string](names []T) (out []string) {
	for _, n := range names {
		out = append(out, string(n))
	}
	return out
}

func named[T ~string](texts []string) (out []T) {
	for _, t := range texts {
		out = append(out, T(t))
	}
	return out
}

// credits reads a sum; an empty one is none.
func credits(text string) (book.Amount, error) {
	if text == "" {
		return 0, nil
	}
	sum, err := book.ParseAmount(text)
	if err != nil {
		return 0, protocol.Errorf(protocol.ErrInvalid, "highest price %v", err)
	}
	return sum, nil
}
