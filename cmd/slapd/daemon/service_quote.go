package daemon

import (
	"context"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/protocol"
)

// Quote implements [protocol.Instances].
func (s *service) Quote(ctx context.Context, in protocol.RequestInput) (protocol.Quote, error) {
	c, found, err := s.request(ctx, in, s.find)
	if err != nil {
		return protocol.Quote{}, err
	}
	q, err := s.books.Quote(ctx, s.caller.credential(), found.unpublished, c)
	if err != nil {
		return protocol.Quote{}, wireError(err)
	}
	return wireQuote(q), nil
}

func wireQuote(q ledger.Quote) protocol.Quote {
	out := protocol.Quote{
		Reference: string(q.Reference), Exists: q.Exists, Release: q.Release,
		Computer: string(q.Computer), ComputerName: q.Name, Owner: string(q.Owner), Publisher: string(q.Publisher),
		Needs: wireNeeds(q.Needs), PriceHour: q.Hour.String(), AtOnce: q.Due.String(), SetAside: q.SetAside.String(),
		OwnerRates: wireRates(q.OwnerRates), PublisherRates: wireRates(q.ReleaseRates), At: q.At,
	}
	if q.Host != "" {
		rates := wireRates(q.HostRates)
		out.Host, out.HostRates = string(q.Host), &rates
	}
	for _, o := range q.Others {
		out.Others = append(out.Others, protocol.Alternative{Computer: string(o.Computer), ComputerName: o.Name, PriceHour: o.Hour.String()})
	}
	return out
}
