package mesh

import (
	"context"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	// renewalAttempt bounds one try to renew a certificate; the first retry
	// comes after renewalRetry, later ones after up to renewalRetryMax.
	renewalAttempt  = 30 * time.Second
	renewalRetry    = 10 * time.Second
	renewalRetryMax = 10 * time.Minute
	// gather is how long changes of the known peers are gathered before they
	// are saved: who is killed later than that finds the others again.
	gather = 100 * time.Millisecond
	// lonely is how soon a peer that knows others but sees none tries again,
	// aloneFor after how many attempts it asks at the doors of the others.
	lonely   = time.Second
	aloneFor = 4
)

// Run looks for known peers, keeps connections and the certificate fresh, and
// returns nil when ctx is done.
func (m *Mesh) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-ctx.Done():
		case <-m.links.ctx.Done(): // the mesh is closed
			cancel()
		}
	})
	wg.Go(func() { m.links.probe(ctx) })
	wg.Go(func() { m.rejoin(ctx) })
	wg.Go(func() { m.renew(ctx) })
	wg.Go(func() { m.keep(ctx) })
	wg.Go(func() { m.anchor(ctx) })
	wg.Go(func() { m.roam(ctx) })
	wg.Go(func() { m.mapPort(ctx) })
	wg.Go(func() { m.tiers.Run(ctx) })
	wg.Wait()
	return nil
}

// rejoin looks for peers that are known but absent: at once after the start
// and when there are new seeds, and again and again for those that were lost,
// for otherwise the halves of a mesh that was cut would never meet.
func (m *Mesh) rejoin(ctx context.Context) {
	wait := lonely
	alone := 0 // attempts that found nobody
	for {
		absent, doubted := m.book.absent(), doubt
		if _, attached := m.tiers.Attached(); attached {
			absent, doubted = nil, doubt/4 // who holds this peer tries them
		}
		m.book.relent(doubted)
		if len(absent) > 0 && m.book.alive() == 0 && wait >= m.config.Profile.Rejoin {
			m.lookAround(ctx)
		}
		wanted := 2
		if m.book.alive() == 0 {
			wanted = joinAtOnce
		}
		if len(absent) > 0 {
			m.join(ctx, absent[:min(len(absent), wanted)])
		}
		if m.book.alive() > 0 || len(absent) == 0 {
			wait, alone = m.config.Profile.Rejoin, 0
		} else {
			wait = min(2*wait, m.config.Profile.Rejoin)
			if alone++; alone == aloneFor {
				m.RenewSoon() // the CA may have been replaced meanwhile, so that nobody knows the certificate
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-m.seeded:
			timer.Stop()
			wait = lonely
		case <-timer.C:
		}
	}
}

// join compares notes with each of the peers, until all answered or failed or
// ctx is done.
func (m *Mesh) join(ctx context.Context, ids []PeerID) {
	done := make(chan struct{})
	m.links.spawn(func() {
		defer close(done)
		m.tiers.Enter(names(ids))
	})
	select {
	case <-done:
	case <-ctx.Done(): // as it is when the mesh closes; what runs on, Close ends
	}
}

// renew replaces the certificate when two thirds of its life are over.
func (m *Mesh) renew(ctx context.Context) {
	if m.config.Renew == nil {
		return
	}
	retry, hurry := renewalRetry, !m.Vouched()
	for {
		leaf := m.wall.leaf()
		due := leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) * 2 / 3)
		// The clock may be set meanwhile, so it is looked at again each hour.
		wait := min(due.Sub(m.config.Clock()), time.Hour)
		if wait <= 0 || hurry {
			err := m.renewNow(ctx)
			switch {
			case ctx.Err() != nil:
				return
			case err == nil:
				retry, hurry = renewalRetry, false
				continue
			}
			m.config.Log.Warn("certificate not renewed", "valid_until", leaf.NotAfter, "again_in", retry, "err", err)
			if m.Expired() {
				retry = min(retry, renewalUrgent)
			}
			wait = retry/2 + rand.N(retry/2)
			retry = min(2*retry, renewalRetryMax)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-m.hurry:
			timer.Stop()
			hurry = true
		case <-timer.C:
		}
	}
}

// RenewSoon has the certificate renewed although it is not due, for it says
// something of this peer that is no longer so.
func (m *Mesh) RenewSoon() {
	select {
	case m.hurry <- struct{}{}:
	default: // it is about to be
	}
}

// renewNow fetches a new certificate: from whom Renew asks, or, once the old
// one has expired, at the door of any peer.
func (m *Mesh) renewNow(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewalAttempt)
	defer cancel()
	der, err := m.config.Renew(ctx, m.config.Identity.PublicKey())
	if err == nil {
		return m.renewed(Credentials{der, m.signerOf(der), m.config.Credentials.MeshName})
	}
	if !m.Expired() && m.book.alive() > 0 {
		return err
	}
	result, err := m.readmit(ctx)
	if err != nil {
		return err
	}
	if err := m.renewed(result.Credentials); err != nil {
		return err
	}
	m.AddSeeds(result.Seeds)
	return nil
}

// signerOf returns the CA of this mesh that signed a certificate, or this
// peer's.
func (m *Mesh) signerOf(der []byte) []byte {
	own := m.wall.own()
	leaf, err := x509.ParseCertificate(der)
	if err != nil || leaf.CheckSignatureFrom(own.Certificate) == nil {
		return own.Raw // what is wrong with it is found next
	}
	for _, t := range m.wall.counting() {
		if leaf.CheckSignatureFrom(t.Certificate) == nil {
			return t.Raw
		}
	}
	return own.Raw
}

// renewed checks a new certificate, shows it from now on and keeps it.
func (m *Mesh) renewed(c Credentials) error {
	leaf, ca, err := c.check(m.config.Identity)
	if err != nil {
		return err
	}
	if old := m.wall.leaf(); !leaf.NotAfter.After(old.NotAfter) && digestOf(ca) == m.wall.own().digest {
		return fmt.Errorf("the new certificate expires at %s, no later than the old one", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	m.present(leaf, ca)
	if m.config.Dir != "" {
		return c.Save(m.config.Dir)
	}
	return nil
}

// present shows a new certificate from now on.
func (m *Mesh) present(leaf, ca *x509.Certificate) {
	m.wall.present(leaf, ca)
	m.links.retire()
	m.gossip.speak() // of what the CA vouches for now
	m.config.Log.Info("certificate renewed", "valid_until", leaf.NotAfter)
}

// keep saves the known peers.
func (m *Mesh) keep(ctx context.Context) {
	save, speak := time.NewTimer(gather), time.NewTimer(0)
	defer save.Stop()
	defer speak.Stop()
	speak.Stop()
	speaking, spoke := false, time.Time{}
	changed, pending := m.book.watch(), true
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
			if !pending {
				save.Reset(gather)
				pending = true
			}
		case <-save.C:
			pending = false
			if err := m.book.save(m.config.Dir, m.wall.meshID); err != nil {
				m.config.Log.Warn("known peers not kept", "err", err)
			}
		case <-m.gossip.unsaid:
			if !speaking {
				speaking = true
				speak.Reset(max(gather, spoke.Add(time.Second).Sub(m.config.Clock()))) // not again and again
			}
		case <-speak.C:
			speaking, spoke = false, m.config.Clock()
			m.tell(true)
		}
	}
}

// tell publishes a new descriptor if it differs from the present one, or in
// any case.
func (m *Mesh) tell(anyway bool) {
	own := m.gossip.own.Load()
	d, err := m.describe(own.Left)
	changed := !slices.Equal(own.Addresses, d.Addresses) || !slices.Equal(own.Relays, d.Relays) || own.NAT != d.NAT
	if err == nil && changed {
		m.config.Log.Info("reached at", "addresses", d.Addresses, "relays", d.Relays, "nat", d.NAT)
	}
	if !slices.Equal(own.Addresses, d.Addresses) {
		m.paths.reach.tells(d.Seq)
	}
	if err == nil && (changed || anyway) && !own.Left {
		err = m.gossip.say(d, m.config.Profile.Handshake)
	}
	if err != nil {
		m.config.Log.Warn("addresses not told", "err", err)
	}
}

// interfaceAddresses lists the addresses under which a socket bound to bound
// can be reached: that one, or, if it is bound to all, those of this
// computer's interfaces, the loopback last.
func interfaceAddresses(bound net.Addr) []string {
	u, ok := bound.(*net.UDPAddr)
	if !ok || !u.IP.IsUnspecified() {
		return []string{bound.String()}
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		addresses = nil // then the loopback is what is left
	}
	port := strconv.Itoa(u.Port)
	var v4, v6 []string
	for _, a := range addresses {
		n, ok := a.(*net.IPNet)
		switch {
		case !ok || !n.IP.IsGlobalUnicast():
		case n.IP.To4() != nil:
			v4 = append(v4, net.JoinHostPort(n.IP.String(), port))
		default:
			v6 = append(v6, net.JoinHostPort(n.IP.String(), port))
		}
	}
	all := append(v4, v6...)
	return append(all[:min(len(all), maxAddresses-1)], net.JoinHostPort("127.0.0.1", port))
}
