// A day of use of a small mesh, and what everybody owes whom: see README.md.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/book"
)

const (
	gib  = 1 << 30
	step = 10 * time.Minute // between two reports
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "honest-bill:", err)
		os.Exit(1)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "honest-bill-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	morning := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	m, err := openMesh(dir, morning)
	if err != nil {
		return err
	}
	defer m.journal.Close() //nolint:errcheck // it is checked before

	barn, attic := m.found()
	if err := m.order(); err != nil {
		return err
	}
	if err := m.live(barn, attic); err != nil {
		return err
	}
	return m.agree(dir)
}

// found makes the mesh: who is in it, and what they ask.
func (m *mesh) found() (barn, attic *computer) {
	say("the village founds a mesh, which keeps 2 percent of what owners earn")
	m.must(ledger.System(), ledger.Found{
		Rules: ledger.CurrentRules, Secret: sum("the village's secret"), Name: "village", ID: m.id,
		Account: "council", Peer: "council-1", PeerName: "council", PublicKey: sum("council-1"),
	})
	council := ledger.AsPeer("council-1")
	m.must(council, ledger.SetTerms{Terms: ledger.Terms{Fee: 20_000}})

	say("ann offers her barn, bob his attic, which is smaller and cheaper")
	barn = m.join("ann", "barn", ledger.Offer{Partitions: 20, Cores: 8000, Memory: 32 * gib, Disk: 500 * gib, Grade: "sandbox"})
	attic = m.join("bob", "attic", ledger.Offer{Partitions: 5, Cores: 2000, Memory: 4 * gib, Disk: 100 * gib, Grade: "sandbox"})
	m.must(ledger.AsAccount("ann"), ledger.SetPrice{Rates: rates("0.020", "0.006", "0.0005", "0.0020")})
	m.must(ledger.AsAccount("bob"), ledger.SetPrice{Rates: rates("0.015", "0.004", "0.0005", "0.0010")})

	say("carla publishes a shop: 0.10 to begin with, and 0.01 for each order that it takes")
	token := sum("carla's token")
	for _, name := range []ledger.AccountName{"carla", "dora"} {
		m.must(council, ledger.CreateToken{ID: ledger.TokenID("of-" + name), Digest: sum(string(name) + string(token)), Role: ledger.RoleUser, Uses: 1, Expires: m.at.Add(time.Hour), Account: name})
	}
	for _, name := range []string{"shop", "database"} {
		profile := []byte("release(name = \"" + name + "\")")
		m.must(ledger.AsAccount("carla"), ledger.Publish{Digest: ledger.DigestOf(profile), Profile: profile, Name: name, Version: "1"})
	}
	royalty := book.Rates{Request: rate("0.10"), Metrics: map[string]book.Rate{"orders": rate("0.01")}}
	m.must(ledger.AsAccount("carla"), ledger.SetPrice{Release: "shop", Rates: royalty})

	say("dora may spend 20 credits, and no more")
	m.must(council, ledger.Pay{ID: "grant", From: ledger.MintAccount, To: "dora", Sum: 20 * book.Credit, Note: "for a trial"})
	m.must(council, ledger.SetLimit{Account: "dora", Limited: true})
	return barn, attic
}

// order asks what a shop and its database cost, and takes them.
func (m *mesh) order() error {
	dora := ledger.AsAccount("dora")
	for _, c := range []ledger.Request{
		{Reference: "shop", Release: digest("shop"), Policy: "cheapest", Needs: ledger.Needs{Cores: 1000, Memory: 2 * gib, Disk: 10 * gib}},
		{Reference: "db", Release: digest("database"), Policy: "cheapest", Needs: ledger.Needs{Cores: 2000, Memory: 4 * gib, Disk: 50 * gib}},
	} {
		q, err := m.view().Copy().Quote(dora, m.at, nil, c)
		if err != nil {
			return err
		}
		tell("   %-5s on %s of %s: at most %s an hour, %s at once, %s set aside\n", c.Reference, q.Name, q.Owner, q.Hour, q.Due, q.SetAside)
		before := m.view().Wallet("dora").Balance
		m.must(dora, c)
		if paid := before - m.view().Wallet("dora").Balance; paid != q.Due {
			return fmt.Errorf("%s: quoted %s at once, paid %s", c.Reference, q.Due, paid)
		}
		i, _ := m.view().InstanceByReference("dora", c.Reference)
		if i.Computer != q.Computer {
			return fmt.Errorf("%s: quoted on %s, placed on %s", c.Reference, q.Computer, i.Computer)
		}
	}
	err := m.decide(dora, ledger.Request{Reference: "huge", Release: digest("shop"), Needs: ledger.Needs{Cores: 16_000}})
	tell("   16 cores are refused: %v\n", err)
	if err == nil {
		return fmt.Errorf("a computer of 8 cores took an instance of 16")
	}
	return nil
}

// live is the day.
func (m *mesh) live(barn, attic *computer) error {
	barn.settle()
	attic.settle()
	evening := m.at.Add(18 * time.Hour)
	m.must(ledger.AsAccount("ann"), ledger.SetPrice{From: evening, Rates: rates("0.040", "0.006", "0.0005", "0.0020")})
	say("ann will ask twice as much for a core from 18:00 on")

	var kept []ledger.SignedUsage // while the attic is cut off
	for n := 1; n <= 144; n++ {
		m.at = m.at.Add(step)
		use := func(i ledger.Instance) ledger.Usage { return made(i, n) }
		m.must(ledger.AsPeer(barn.id), ledger.ReportUsage{Signed: barn.measure(use)})
		report := attic.measure(use)
		switch hour := m.at.Hour(); {
		case hour >= 8 && hour < 12:
			kept = append(kept, report)
			continue
		case len(kept) > 0:
			say(fmt.Sprintf("the attic was cut off: its %d reports come now, the last one first", len(kept)))
			kept = append(kept, report)
			for _, late := range slices.Backward(kept) {
				m.must(ledger.AsPeer("council-1"), ledger.ReportUsage{Signed: late})
			}
			if err := m.cheat(attic, kept[0]); err != nil {
				return err
			}
			kept = nil
			continue
		}
		m.must(ledger.AsPeer(attic.id), ledger.ReportUsage{Signed: report})
	}
	say("the day is over: dora destroys both")
	for _, reference := range []ledger.Reference{"shop", "db"} {
		m.must(ledger.AsAccount("dora"), ledger.SetState{Reference: reference, State: ledger.InstanceDestroyed})
	}
	barn.settle()
	attic.settle()
	return nil
}

// cheat tries what would change a bill, and must not.
func (m *mesh) cheat(c *computer, old ledger.SignedUsage) error {
	before := m.view().Wallet("dora").Balance
	forged := old
	forged.Signature = append([]byte(nil), old.Signature...)
	forged.Signature[0] ^= 1
	m.at = m.at.Add(time.Second)
	impossible := c.sign(ledger.UsageReport{
		Mesh: m.id, Computer: ledger.ComputerID(c.id), Number: c.next, From: c.from, To: m.at,
		Entries: []ledger.UsageEntry{{Instance: 1, Usage: ledger.Usage{Core: uint64(time.Hour)}}},
	})
	for _, try := range []struct {
		what   string
		report ledger.SignedUsage
	}{{"one that was billed before", old}, {"one that somebody else signed", forged}, {"one of more time than there was", impossible}} {
		err := m.decide(ledger.AsPeer(c.id), ledger.ReportUsage{Signed: try.report})
		tell("   %s changes nothing: %v\n", try.what, err)
	}
	c.next, c.from = c.next+1, m.at // the impossible one counts as come
	if after := m.view().Wallet("dora").Balance; after != before {
		return fmt.Errorf("a report that cannot be true moved %s", before-after)
	}
	return nil
}

// made is what an instance used in ten minutes: busier in the afternoon.
func made(i ledger.Instance, n int) ledger.Usage {
	busy := uint64(1 + n%7 + n/24)
	u := ledger.Usage{
		Core: busy * uint64(13*time.Second), Memory: busy * 90 << 20 * 600, Disk: 3 * gib * 600, Network: busy * 1_234_567,
	}
	if i.ReleaseName == "shop" {
		u.Metrics = map[string]uint64{"orders": busy}
	}
	return u
}

func say(text string) { tell("-- %s\n", text) }

func tell(format string, args ...any) { fmt.Fprintf(os.Stdout, format, args...) }

func sum(text string) []byte {
	s := sha256.Sum256([]byte(text))
	return s[:]
}

func digest(release string) ledger.ReleaseDigest {
	return ledger.DigestOf([]byte("release(name = \"" + release + "\")"))
}

func rate(text string) book.Rate {
	r, err := book.ParseRate(text)
	if err != nil {
		panic(err)
	}
	return r
}

// rates are for an hour of a core, of a GiB of memory, of a GiB of disk, and of
// a partition.
func rates(core, memory, disk, partition string) book.Rates {
	return book.Rates{Core: rate(core), Memory: rate(memory), Disk: rate(disk), Partition: rate(partition)}
}
