package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// parseFleet reads what is asked about computers.
func (w *world) parseFleet(verb string, a []string, values map[string]string) Command {
	w.Helper()
	id := ComputerID(a[0])
	switch verb {
	case "set": // COMPUTER [reset] [scope=S] [label=value…], - removes one
		c := SetComputer{Computer: id, Scope: Scope(values["scope"]), Reset: a[1] == "reset"}
		for k, v := range values {
			if k != "scope" {
				if c.Labels == nil {
					c.Labels = make(map[string]string)
				}
				c.Labels[k] = strings.TrimPrefix(v, "-")
			}
		}
		return c
	case "drain", "undrain":
		return DrainComputer{id, verb == "drain"}
	case "retire": // COMPUTER [force]
		return RetireComputer{id, a[1] == "force"}
	case "give": // COMPUTER ACCOUNT
		return GiveComputer{id, AccountName(a[1])}
	}
	return nil
}

// randomFleet returns something about a computer that might be asked.
func randomFleet(r *rand.Rand, p Principal, id ComputerID) (Principal, Command) {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	if r.IntN(2) == 0 {
		p = AsPeer("p1")
	}
	switch r.IntN(20) {
	case 0:
		return p, RetireComputer{id, r.IntN(2) == 0}
	case 1, 2, 3, 4:
		return p, DrainComputer{id, r.IntN(3) == 0}
	case 5, 6, 7, 8, 9, 10, 11:
		return p, GiveComputer{id, AccountName(pick("ann", "bob", "nobody"))}
	}
	c := SetComputer{Computer: id, Scope: Scope(pick("", "", "group", "open", "public", "x")), Reset: r.IntN(3) == 0}
	if r.IntN(2) == 0 {
		c.Labels = map[string]string{pick("country", "site"): pick("", "FR", "x\n")}
	}
	return p, c
}

// checkTenures says what is wrong with who earns from a bill.
func (w *world) checkTenures(c Charge) error {
	now := c.Current()
	if computer, ok := w.Computer(c.Computer); ok && c.Open() && computer.Account != c.Owner {
		return fmt.Errorf("bill of %s: of %s, and the computer of %s", c.Instance, c.Owner, computer.Account)
	}
	if now.ToOwner < 0 || now.ToMesh < 0 || now.ToMesh > now.ToOwner || len(c.Former) > MaxFormer {
		return fmt.Errorf("bill of %s: %+v of %+v", c.Instance, now, c.Former)
	}
	for n, f := range c.Former {
		if f.ToMesh > f.ToOwner || f.Until.Before(c.From) || n > 0 && f.Until.Before(c.Former[n-1].Until) {
			return fmt.Errorf("bill of %s: %+v", c.Instance, c.Former)
		}
	}
	return nil
}

// TestFleetNames: what could not be shown or filtered on is refused, and older
// rules know none of it.
func TestFleetNames(t *testing.T) {
	w := given(t, home)
	many := make(map[string]string)
	for n := range MaxLabels + 1 {
		many[fmt.Sprint("k", n)] = "v"
	}
	for _, c := range []Command{
		SetComputer{Computer: "p1", Scope: "mine"},
		SetComputer{Computer: "p1", Labels: map[string]string{"": "x"}},
		SetComputer{Computer: "p1", Labels: map[string]string{"a\u202e": ""}},
		SetComputer{Computer: "p1", Labels: map[string]string{"a": "x\x00"}},
		SetComputer{Computer: "p1", Labels: map[string]string{"a": strings.Repeat("x", MaxLabel+1)}},
		SetComputer{Computer: "p1", Labels: many},
		GiveComputer{"p1", "a\nb"},
		GiveComputer{"p1", MintAccount},
	} {
		if _, err := w.ask(AsPeer("p1"), c); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	mesh, _ := w.Mesh()
	mesh.Rules = RulesOfMoney
	w.setMesh(mesh)
	for _, c := range []Command{SetComputer{Computer: "p1"}, DrainComputer{"p1", true}, RetireComputer{"p1", true}, GiveComputer{"p1", "ann"}} {
		if _, err := w.ask(AsPeer("p1"), c); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%+v under older rules: %v", c, err)
		}
		if err := w.Proposable(c); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%+v may be proposed under older rules: %v", c, err)
		}
	}
}

// TestManyOwners: a computer goes from hand to hand, and what each earned is
// bounded and adds up.
func TestManyOwners(t *testing.T) {
	w := given(t, home)
	w.mustAsk(AsPeer("p1"), CreateToken{ID: "b", Digest: digestOfToken("b"), Role: RoleUser, Uses: 1, Expires: noon.AddDate(0, 0, 1), Account: "bob"})
	w.mustAsk(AsPeer("p1"), Request{Reference: "a", Release: DigestOf(profileOf("web", "1"))})
	var err error
	for n := 0; err == nil; n++ {
		if n > 2*MaxFormer {
			t.Fatal("there is no bound")
		}
		_, err = w.ask(AsPeer("p1"), GiveComputer{"p1", []AccountName{"bob", "ann"}[n%2]})
	}
	if !errors.Is(err, ErrExhausted) {
		t.Error(err)
	}
	if err := w.check(); err != nil {
		t.Error(err)
	}
}
