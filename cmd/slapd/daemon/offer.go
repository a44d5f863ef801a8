package daemon

import (
	"context"
	"maps"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/remote"
)

// How soon an offer that nobody took is made again: after the first of these,
// then after up to twice as long each time, and whenever somebody is known to
// lead who was not before. That is looked for as often as the last says.
const (
	offerRetry    = time.Second
	offerRetryMax = 30 * time.Second
	offerLook     = 250 * time.Millisecond
)

// runOffer tells the ledger what this computer offers, whenever that is not
// what the ledger has, for as long as the peer may offer anything.
func (d *Daemon) runOffer(ctx context.Context) error {
	offer := ledger.Offer{
		Partitions: *d.settings.Partitions,
		Labels:     d.labels(),
		Grade:      d.grade,
		Arch:       runtime.GOARCH,
		Host:       d.host,
		Name:       d.settings.Name,
	}
	size := capacityOf(d.folder.path)
	changed, stop := d.books.Subscribe(ledger.TopicMembers())
	defer stop()
	retry := offerRetry
	for failing := false; ; {
		if m, ok := d.books.View().Mesh(); ok && m.Rules >= ledger.RulesOfMoney { // older voters could not read it
			offer.Cores, offer.Memory, offer.Disk = size.cores, size.memory, size.disk
			if m.Rules >= ledger.RulesOfGroups {
				offer.Bandwidth = *d.settings.Bandwidth
			}
		}
		err := d.offer(ctx, offer)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !failing:
			d.log.Warn("cannot offer this computer's partitions, will try until it can", "err", err)
		case err == nil && failing:
			d.log.Info("this computer's partitions are offered again")
		}
		if failing = err != nil; !failing {
			retry = offerRetry
			select {
			case <-ctx.Done():
			case <-changed:
			}
			continue
		}
		pause := retry/2 + rand.N(retry/2)
		retry = min(2*retry, offerRetryMax)
		d.log.Debug("offer not taken", "again_in", pause, "err", err)
		d.awaitChance(ctx, pause, changed)
	}
}

// egressLabel is the label of computers that let instances out to the Internet.
const egressLabel = "egress"

// labels returns the owner's, and what this computer knows of itself.
func (d *Daemon) labels() map[string]string {
	if !d.egress {
		return d.settings.Labels
	}
	all := maps.Clone(d.settings.Labels)
	if all == nil {
		all = make(map[string]string)
	}
	all[egressLabel] = "yes"
	return all
}

// awaitChance returns after a pause, or earlier when the ledger's members
// changed or somebody leads again.
func (d *Daemon) awaitChance(ctx context.Context, pause time.Duration, changed <-chan struct{}) {
	over := time.NewTimer(pause)
	defer over.Stop()
	look := time.NewTicker(offerLook)
	defer look.Stop()
	led := d.led(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
			return
		case <-over.C:
			return
		case <-look.C:
			was := led
			if led = d.led(ctx); led && !was {
				return
			}
		}
	}
}

// led reports whether somebody is known to lead, with a majority.
func (d *Daemon) led(ctx context.Context) bool {
	c := d.books.Consensus(ctx)
	return c.Leader != "" && c.Quorum
}

// offer proposes what this computer offers if the ledger has it otherwise.
func (d *Daemon) offer(ctx context.Context, o ledger.Offer) error {
	v := d.books.View()
	peer, ok := v.Peer(ledger.PeerID(d.mesh.Self()))
	if !ok || peer.Role == ledger.RoleUser || d.gone.Load() {
		return nil
	}
	if c, ok := v.Computer(ledger.ComputerID(peer.ID)); ok && offered(c, o) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	index, err := d.books.Propose(ctx, remote.Credential{}, o)
	if err != nil {
		return err
	}
	return d.books.WaitIndex(ctx, index)
}

// offered reports whether the ledger's record is what o would make it.
func offered(c ledger.Computer, o ledger.Offer) bool {
	_, labels := c.Offered()
	return c.Partitions == o.Partitions && c.Grade == o.Grade && c.Arch == o.Arch && c.Host == o.Host && c.Name == o.Name &&
		c.State != ledger.ComputerLeft && maps.Equal(labels, o.Labels) &&
		c.Cores == o.Cores && c.Memory == o.Memory && c.Disk == o.Disk && c.Bandwidth == o.Bandwidth
}
