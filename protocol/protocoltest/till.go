package protocoltest

import (
	"cmp"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// publisher owns the computer and the releases of a Mesh.
const publisher = "operator"

// A till is the money of a Mesh. Sums are exact.
type till struct {
	known    map[string]bool // accounts
	balances map[string]*big.Rat
	limits   map[string]*big.Rat // who has none is not limited
	paid     map[string]protocol.PaymentInput
	prices   []protocol.Price
	bills    []protocol.Bill
	terms    protocol.Terms
}

func newTill() till {
	return till{
		known:    map[string]bool{publisher: true, protocol.MintAccount: true, protocol.MeshAccount: true},
		balances: map[string]*big.Rat{}, limits: map[string]*big.Rat{}, paid: map[string]protocol.PaymentInput{},
		terms: completed(protocol.Terms{}),
	}
}

func completed(t protocol.Terms) protocol.Terms {
	return protocol.Terms{Fee: cmp.Or(t.Fee, "0.00"), Grace: cmp.Or(t.Grace, "24h"), Reserve: cmp.Or(t.Reserve, "1h")}
}

// number reads a sum that was checked; an empty one is nothing.
func number(text string) *big.Rat {
	n, ok := new(big.Rat).SetString(cmp.Or(text, "0"))
	if !ok {
		panic("protocoltest: not checked: " + strconv.Quote(text))
	}
	return n
}

// decimal writes a sum with two to six decimals.
func decimal(n *big.Rat) string {
	text := n.FloatString(protocol.SumDecimals)
	point := strings.IndexByte(text, '.')
	return text[:point+3] + strings.TrimRight(text[point+3:], "0")
}

func (t *till) exists(account string) error {
	if !t.known[account] {
		return protocol.Errorf(protocol.ErrNotFound, "account %s is not known", account)
	}
	return nil
}

func (t *till) balance(account string) *big.Rat {
	if b := t.balances[account]; b != nil {
		return b
	}
	return new(big.Rat)
}

// free is what an account may still spend, if it is limited.
func (t *till) free(account string) (*big.Rat, bool) {
	limit, limited := t.limits[account]
	if !limited {
		return new(big.Rat), false
	}
	return new(big.Rat).Add(t.balance(account), limit), true
}

func (t *till) move(from, to string, sum *big.Rat) {
	t.balances[from] = new(big.Rat).Sub(t.balance(from), sum)
	t.balances[to] = new(big.Rat).Add(t.balance(to), sum)
}

// price finds a price, or makes one.
func (t *till) price(account, release string, places bool) *protocol.Price {
	at := slices.IndexFunc(t.prices, func(p protocol.Price) bool { return p.Account == account && p.Release == release && p.Places == places })
	if at < 0 {
		at = len(t.prices)
		t.prices = append(t.prices, protocol.Price{Account: account, Release: release, Places: places})
	}
	return &t.prices[at]
}

// rate is what a new instance costs at once, of a computer or of a release.
func (t *till) rate(release string) *big.Rat {
	for _, p := range t.prices {
		if p.Account == publisher && p.Release == release && !p.Places {
			return number(p.Rates.Request)
		}
	}
	return new(big.Rat)
}

// charge bills a new instance, or refuses it to who cannot pay.
func (t *till) charge(i protocol.Instance, now time.Time) error {
	toOwner, toRelease := t.rate(""), t.rate(i.Release)
	total := new(big.Rat).Add(toOwner, toRelease)
	if free, limited := t.free(i.Account); limited && free.Cmp(total) < 0 {
		return protocol.Errorf(protocol.ErrPayment, "request %s: account %s has %s to spend and this takes %s: ask an operator of the mesh for credit",
			i.Reference, i.Account, decimal(free), decimal(total))
	}
	fee := new(big.Rat).Mul(toOwner, new(big.Rat).Quo(number(t.terms.Fee), big.NewRat(100, 1)))
	t.move(i.Account, publisher, total)
	t.move(publisher, protocol.MeshAccount, fee)
	toOwner.Sub(toOwner, fee)
	t.bills = append(t.bills, protocol.Bill{
		Instance: "i" + strconv.FormatUint(i.ID, 10), Reference: i.Reference, Payer: i.Account, Owner: publisher, Publisher: publisher,
		Release: i.Release, Computer: i.Computer, ComputerName: i.ComputerName, From: now, Billed: now,
		Total: decimal(total), ToOwner: decimal(toOwner), ToRelease: decimal(toRelease), ToMesh: decimal(fee),
		Used: protocol.Used{Requests: 1},
	})
	return nil
}

func (t *till) statement(account string, now time.Time) protocol.Statement {
	balance := t.balance(account)
	s := protocol.Statement{Account: account, Balance: decimal(balance), Reserved: "0.00", Limit: "0.00", Free: decimal(balance)}
	if free, limited := t.free(account); limited {
		s.Limited, s.Limit, s.Free = true, decimal(t.limits[account]), decimal(free)
		if free.Sign() < 0 {
			grace, err := time.ParseDuration(t.terms.Grace)
			if err != nil {
				panic(err) // checked
			}
			stops := now.Add(grace)
			s.Short, s.StopsAt = &now, &stops
		}
	}
	for _, b := range t.bills {
		if b.Payer == account {
			s.Pays = append(s.Pays, b)
		}
		if b.Payer != account && (b.Owner == account || b.Publisher == account) {
			s.Earns = append(s.Earns, b)
		}
	}
	return s
}
