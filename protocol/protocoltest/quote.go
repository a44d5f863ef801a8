package protocoltest

import (
	"context"
	"maps"
	"math/big"
	"slices"

	"github.com/slapmesh/slapmesh/protocol"
)

// Quote implements [protocol.Instances]: it requests on a copy.
func (c *caller) Quote(ctx context.Context, in protocol.RequestInput) (protocol.Quote, error) {
	trial := c.trial()
	key, err := trial.key(protocol.Ref{Reference: in.Reference, Account: in.Account})
	if err != nil {
		return protocol.Quote{}, err
	}
	_, exists := trial.instances[key]
	i, err := trial.Request(ctx, in)
	if err != nil {
		return protocol.Quote{}, err
	}
	q := protocol.Quote{
		Reference: i.Reference, Exists: exists, Release: i.Release, Computer: i.Computer, ComputerName: i.ComputerName,
		Owner: trial.castle.owner, Publisher: publisher, Needs: i.Needs,
		PriceHour: decimal(new(big.Rat)), AtOnce: decimal(new(big.Rat)), SetAside: decimal(new(big.Rat)), At: c.Now,
	}
	if !exists {
		q.AtOnce = decimal(new(big.Rat).Add(trial.till.rate(""), trial.till.rate(i.Release)))
	}
	return q, nil
}

// trial returns a caller of a copy of the mesh, as far as requests change it.
func (c *caller) trial() *caller {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := New()
	m.Now, m.instances, m.castle, m.till = c.Now, maps.Clone(c.instances), c.castle, c.till
	m.till.balances, m.till.bills = maps.Clone(c.till.balances), slices.Clip(c.till.bills)
	return &caller{Mesh: m, account: c.account, operator: c.operator}
}
