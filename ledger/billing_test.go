package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
)

// keyOf is the key of a peer in tests.
func keyOf(peer string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(peer))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicKeyOf(peer string) []byte {
	key, _ := keyOf(peer).Public().(ed25519.PublicKey)
	return key
}

// parseMoney reads lines such as "p1 price core=0.02 from=24".
func (w *world) parseMoney(verb string, a []string, values map[string]string) Command {
	w.Helper()
	amount := w.amount
	switch verb {
	case "price": // [RELEASE [places]] rate=credits… [from=HOURS after noon]
		c := w.parsePrice(a[0], values)
		c.Places = a[1] == "places"
		return c
	case "pay": // ID FROM TO SUM, - is the caller
		return Pay{ID: a[0], From: AccountName(strings.Trim(a[1], "-")), To: AccountName(a[2]), Sum: amount(a[3]), Note: values["note"]}
	case "limit": // ACCOUNT CREDITS or none
		if a[1] == "none" {
			return SetLimit{Account: AccountName(a[0])}
		}
		return SetLimit{AccountName(a[0]), true, amount(a[1])}
	case "terms": // [fee=MILLIONTHS] [grace=HOURS] [reserve=HOURS]
		hours := func(k string) time.Duration {
			return time.Duration(w.number(values[k]+"0")/10) * time.Hour
		}
		return SetTerms{Terms{uint32(w.number(values["fee"]+"0") / 10), hours("grace"), hours("reserve")}}
	case "stop-short":
		return StopShort{}
	case "review": // INSTANCE VERDICT [from=MINUTES to=MINUTES after noon]
		c := ReviewBill{Instance: InstanceID(w.number(a[0][1:])), Verdict: Verdict(a[1]), Note: values["note"]}
		if text, ok := values["from"]; ok {
			c.From = noon.Add(time.Duration(w.number(text)) * time.Minute)
		}
		if text, ok := values["to"]; ok {
			c.Through = noon.Add(time.Duration(w.number(text)) * time.Minute)
		}
		return c
	case "usage": // COMPUTER NUMBER FROM TO (minutes after noon) [iN=core seconds…] [by=KEY]
		return w.parseUsage(a, values)
	}
	return nil
}

func (w *world) amount(text string) book.Amount {
	w.Helper()
	sum, err := book.ParseAmount(text)
	if err != nil {
		w.Fatal(err)
	}
	return sum
}

func (w *world) parsePrice(release string, values map[string]string) SetPrice {
	w.Helper()
	c := SetPrice{Release: release}
	if from, ok := values["from"]; ok {
		c.From = noon.Add(time.Duration(w.number(from)) * time.Hour)
	}
	delete(values, "from")
	to := map[string]*book.Rate{
		"core": &c.Rates.Core, "memory": &c.Rates.Memory, "disk": &c.Rates.Disk,
		"network": &c.Rates.Network, "partition": &c.Rates.Partition, "request": &c.Rates.Request,
	}
	for k, v := range values {
		rate, err := book.ParseRate(v)
		if err != nil {
			w.Fatal(err)
		}
		*to[k] = rate
	}
	return c
}

func (w *world) parseUsage(a []string, values map[string]string) Command {
	w.Helper()
	minutes := func(word string) time.Time { return noon.Add(time.Duration(w.number(word)) * time.Minute) }
	mesh, _ := w.Mesh()
	signer := a[0]
	if by, ok := values["by"]; ok {
		signer = by
		delete(values, "by")
	}
	r := UsageReport{Mesh: mesh.ID, Computer: ComputerID(a[0]), Number: uint64(w.number(a[1])), From: minutes(a[2]), To: minutes(a[3])}
	ids := slices.SortedFunc(maps.Keys(values), func(x, y string) int { return w.number(x[1:]) - w.number(y[1:]) })
	for _, id := range ids {
		seconds, err := strconv.ParseUint(values[id], 10, 64)
		if err != nil {
			w.Fatal(err)
		}
		r.Entries = append(r.Entries, UsageEntry{InstanceID(w.number(id[1:])), Usage{Core: seconds * uint64(time.Second)}})
	}
	return w.signed(r, signer)
}

func (w *world) signed(r UsageReport, signer string) Command {
	w.Helper()
	signed, err := r.Sign(func(m []byte) []byte { return ed25519.Sign(keyOf(signer), m) })
	if err != nil {
		w.Fatal(err)
	}
	return ReportUsage{signed}
}

func (w *world) showWallets() string {
	var out strings.Builder
	for _, v := range w.wallets.all() {
		fmt.Fprintf(&out, "%s %s", v.Account, v.Balance)
		if v.Reserved != 0 {
			fmt.Fprintf(&out, ", %s set aside", v.Reserved)
		}
		if v.Limited {
			fmt.Fprintf(&out, ", limit %s", v.Limit)
		}
		if !v.Short.IsZero() {
			fmt.Fprintf(&out, ", short since %s", v.Short.Format("15:04"))
		}
		out.WriteString("\n")
	}
	return out.String()
}

func (w *world) showBill(id string) string {
	c, ok := w.Charge(InstanceID(w.number(id[1:])))
	if !ok {
		return "nothing\n"
	}
	state := "open"
	if !c.Open() {
		state = "until " + c.Until.Format("15:04")
	}
	var owners strings.Builder
	for _, t := range append(slices.Clone(c.Former), c.Current()) {
		fmt.Fprintf(&owners, "%s to %s, ", t.ToOwner-t.ToMesh, t.Owner)
	}
	if c.Host != "" {
		fmt.Fprintf(&owners, "%s to host %s (fee %s), ", c.ToHost-c.HostFee, c.Host, c.HostFee)
	}
	return fmt.Sprintf("%s: %s pays %s: %s%s to %s, fee %s; core %v, held %v; %s, billed to %s %s\n", c.Instance, c.Payer, c.Total(),
		owners.String(), c.ToRelease, c.Publisher, c.ToMesh, time.Duration(c.Used.Core), time.Duration(c.Used.Partition),
		state, c.Billed.Format("15:04"), c.Review.Verdict)
}

// checkMoney says what is wrong with the money of the state, if anything is.
func (w *world) checkMoney() error {
	var sum book.Amount
	set := make(map[AccountName]book.Amount)
	for _, v := range w.wallets.all() {
		sum += v.Balance
		if v.Limited && v.Short.IsZero() == (v.Balance+v.Limit < 0) {
			return fmt.Errorf("%s has %s of %s and is short since %v", v.Account, v.Balance, v.Limit, v.Short)
		}
		if v.Reserved != 0 {
			set[v.Account] = v.Reserved
		}
	}
	if sum != 0 {
		return fmt.Errorf("all accounts together have %s", sum)
	}
	open := 0
	for _, c := range w.charges.all() {
		i, ok := w.Instance(c.Instance)
		if !ok || i.Settled() == c.Open() || i.Account != c.Payer {
			return fmt.Errorf("bill of %s, open %v: the instance is there %v, settled %v", c.Instance, c.Open(), ok, i.Settled())
		}
		if c.ToMesh > c.ToOwner || c.HostFee > c.ToHost || c.ToHost != 0 && c.Host == "" || c.Host != "" && !i.Shared || c.Billed.Before(c.From) || !c.Open() && c.Reserved != 0 {
			return fmt.Errorf("bill of %s: %+v", c.Instance, c)
		}
		if err := w.checkTenures(c); err != nil {
			return err
		}
		if c.Open() {
			open++
		}
		if set[c.Payer] -= c.Reserved; set[c.Payer] == 0 {
			delete(set, c.Payer)
		}
	}
	if len(set) > 0 {
		return fmt.Errorf("set aside without a bill: %v", set)
	}
	for i := range w.AllInstances() {
		if !i.Settled() {
			open--
		}
	}
	if open != 0 {
		return fmt.Errorf("%d more bills are open than instances run", open)
	}
	for _, account := range []AccountName{"ann", "bob"} {
		want := 0
		for _, c := range w.charges.all() {
			if slices.Contains(collect(c.earners()), account) {
				want++
			}
		}
		if got := len(collect(w.Earns(account))); got != want {
			return fmt.Errorf("%s earns from %d bills, want %d", account, got, want)
		}
	}
	held := make(map[ComputerID]int)
	for _, h := range w.held.all() {
		if held[h.Computer]++; h.Number <= w.Meter(h.Computer).Next {
			return fmt.Errorf("report %d of %s waits for itself", h.Number, h.Computer)
		}
	}
	for _, m := range w.meters.all() {
		if m.Held != held[m.Computer] {
			return fmt.Errorf("%s: %d reports wait, want %d", m.Computer, held[m.Computer], m.Held)
		}
	}
	return nil
}

// randomMoney returns something about money that might be asked.
func randomMoney(r *rand.Rand, w *world, p Principal, peer PeerID) (Principal, Command) {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	accounts := []string{"ann", "bob", "@mint", "@mesh", "nobody"}
	switch r.IntN(10) {
	case 0:
		release := pick("", "", "web", "db")
		return p, SetPrice{
			Release: release, Places: r.IntN(12) == 0 || release != "" && r.IntN(2) == 0, From: w.at.Add(time.Duration(r.IntN(100)-10) * time.Second),
			Rates: book.Rates{Core: book.Rate(r.Int64N(1e13)), Partition: book.Rate(r.Int64N(1e12)), Request: book.Rate(r.Int64N(1e12))},
		}
	case 1:
		return p, Pay{ID: pick("a", "b", "c", "d", "e"), From: AccountName(pick(accounts...)), To: AccountName(pick(accounts...)), Sum: book.Amount(r.Int64N(100) * 1e6)}
	case 2:
		return AsPeer("p1"), SetLimit{AccountName(pick(accounts...)), r.IntN(3) > 0, book.Amount(r.Int64N(3) * 1e6)}
	case 3:
		return AsPeer("p1"), SetTerms{Terms{uint32(r.IntN(1_100_000)), time.Duration(r.IntN(100)) * time.Second, time.Duration(r.IntN(100)) * time.Minute}}
	case 4:
		return System(), StopShort{}
	case 5:
		c := ReviewBill{Instance: InstanceID(r.IntN(50)), Verdict: Verdict(pick("accepted", "disputed", "x"))}
		if charge, ok := w.Charge(c.Instance); ok && r.IntN(2) == 0 {
			c.From = charge.From.Add(time.Duration(r.IntN(60)) * time.Second)
			c.Through = charge.Billed.Add(time.Duration(-r.IntN(30)) * time.Second)
		}
		return p, c
	}
	return p, w.randomUsage(r, peer)
}

// randomUsage is the next report of a computer, or one that is late, early,
// torn or another's.
func (w *world) randomUsage(r *rand.Rand, peer PeerID) Command {
	meter := w.Meter(ComputerID(peer))
	mesh, _ := w.Mesh()
	u := UsageReport{Mesh: mesh.ID, Computer: ComputerID(peer), Number: max(1, meter.Next+uint64(r.IntN(5))/2+1-uint64(r.IntN(3))), To: w.at.Add(time.Duration(-r.IntN(20)) * time.Second)}
	if u.From = meter.To; u.From.IsZero() || r.IntN(5) == 0 {
		u.From = u.To.Add(time.Duration(-r.IntN(100)) * time.Second)
	}
	for _, c := range w.charges.all() {
		if c.Computer == u.Computer && r.IntN(3) > 0 || r.IntN(300) == 0 {
			u.Entries = append(u.Entries, UsageEntry{c.Instance, Usage{Core: r.Uint64N(1e10), Memory: r.Uint64N(1e12)}})
		}
	}
	signer := string(peer)
	if r.IntN(20) == 0 {
		signer = "p2"
	}
	return w.signed(u, signer)
}

// showReviews lists what the payer says of a bill.
func (w *world) showReviews(id string) (out string) {
	w.Helper()
	c, _ := w.Charge(InstanceID(w.number(id[1:])))
	for _, r := range c.Reviews {
		from := "the beginning"
		if !r.From.IsZero() {
			from = r.From.Format("15:04")
		}
		out += fmt.Sprintf("%s from %s to %s %s\n", r.Verdict, from, r.Through.Format("15:04"), r.Note)
	}
	return out
}

// TestReviewsAreBounded: a bill has so many reviews, and one that covers them
// all is always possible.
func TestReviewsAreBounded(t *testing.T) {
	w := given(t, "system found home ann p1\np1 publish web 1\np1 offer 3 cores=4\np1 request a web 1\np1 report ann a started\nhours 6\np1 usage p1 1 0 360 i1=100\n")
	for n := range MaxReviews + 1 {
		_, err := w.ask(AsPeer("p1"), ReviewBill{Instance: 1, Verdict: VerdictDisputed, From: noon.Add(time.Duration(n) * time.Minute), Through: noon.Add(time.Duration(n+1) * time.Minute)})
		if (err == nil) != (n < MaxReviews) || err != nil && CodeOf(err) != ErrExhausted {
			t.Errorf("review %d: %v", n, err)
		}
	}
	w.mustAsk(AsPeer("p1"), ReviewBill{Instance: 1, Verdict: VerdictAccepted})
	if c, _ := w.Charge(1); len(c.Reviews) != 1 || c.Review.Verdict != VerdictAccepted {
		t.Errorf("%+v", c.Reviews)
	}
}
