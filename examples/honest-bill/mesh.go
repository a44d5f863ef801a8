package main

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/journal"
	"github.com/slapmesh/slapmesh/ledger/replica"
)

// A mesh is one replica of a ledger, with its journal, and a clock that we set.
type mesh struct {
	replica *replica.Replica
	journal *journal.Journal
	id      string
	at      time.Time
	index   uint64
}

func openMesh(dir string, at time.Time) (*mesh, error) {
	j, err := journal.Open(filepath.Join(dir, "journal"), journal.Options{})
	if err != nil {
		return nil, err
	}
	return &mesh{replica: replica.New(replica.Config{Journal: j}), journal: j, id: "village-1", at: at}, nil
}

// decide has the ledger decide a command, as the log of a real mesh would.
func (m *mesh) decide(p ledger.Principal, c ledger.Command) error {
	data, err := ledger.Encode(p, c)
	if err != nil {
		return err
	}
	m.index++
	return ledger.ParseReply(m.replica.Apply(m.index, m.at, [][]byte{data})[0])
}

// must is decide for what the story cannot do without.
func (m *mesh) must(p ledger.Principal, c ledger.Command) {
	if err := m.decide(p, c); err != nil {
		panic(fmt.Sprintf("%s by %s: %v", c.Kind(), p, err))
	}
}

func (m *mesh) view() *ledger.State { return m.replica.View() }

// A computer measures and signs.
type computer struct {
	*mesh
	id   ledger.PeerID
	key  ed25519.PrivateKey
	next uint64 // number of its next report
	from time.Time
}

// join admits a computer of an account.
func (m *mesh) join(owner ledger.AccountName, name string, offer ledger.Offer) *computer {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{name[0]}, ed25519.SeedSize))
	c := &computer{mesh: m, id: ledger.PeerID(name), key: key, next: 1, from: m.at}
	secret := sha256.Sum256([]byte(name))
	council := ledger.AsPeer("council-1")
	m.must(council, ledger.CreateToken{
		ID: ledger.TokenID("for-" + name), Digest: secret[:], Role: ledger.RoleComputer, Uses: 1, Expires: m.at.Add(time.Hour), Account: owner,
	})
	m.must(council, ledger.Admit{TokenDigest: secret[:], Peer: c.id, PublicKey: key.Public().(ed25519.PublicKey), Name: name}) //nolint:forcetypeassert // it is one
	offer.Scope = ledger.ScopePublic
	m.must(ledger.AsPeer(c.id), offer)
	return c
}

// settle reports that what is requested of the computer's instances is so.
func (c *computer) settle() {
	var r ledger.Report
	for i := range c.view().InstancesOn(ledger.ComputerID(c.id)) {
		r.Instances = append(r.Instances, ledger.InstanceReport{ID: i.ID, Generation: i.Generation, State: i.Requested, Healthy: true})
	}
	c.must(ledger.AsPeer(c.id), r)
}

// measure returns the signed usage since the last report.
func (c *computer) measure(use func(i ledger.Instance) ledger.Usage) ledger.SignedUsage {
	r := ledger.UsageReport{Mesh: c.mesh.id, Computer: ledger.ComputerID(c.id), Number: c.next, From: c.from, To: c.at}
	for i := range c.view().InstancesOn(ledger.ComputerID(c.id)) {
		r.Entries = append(r.Entries, ledger.UsageEntry{Instance: i.ID, Usage: use(i)})
	}
	slices.SortFunc(r.Entries, func(a, b ledger.UsageEntry) int { return cmp.Compare(a.Instance, b.Instance) })
	c.next++
	c.from = c.at
	return c.sign(r)
}

func (c *computer) sign(r ledger.UsageReport) ledger.SignedUsage {
	signed, err := r.Sign(func(message []byte) []byte { return ed25519.Sign(c.key, message) })
	if err != nil {
		panic(err)
	}
	return signed
}
