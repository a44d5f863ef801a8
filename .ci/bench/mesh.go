package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/client"
)

// A peer is one slapd.
type peer struct {
	*client.Client
	*process
	program   string
	name, dir string
	id        string
}

// A mesh is several peers on this computer.
type mesh struct {
	opt   options
	dir   string
	peers []*peer
	token string // admits further peers
	at    string // where to join
}

// newPeer starts slapd with the given verb and arguments.
func newPeer(program, name, dir string, args ...string) (*peer, error) {
	p := &peer{program: program, name: name, dir: dir}
	var err error
	if p.Client, err = client.New(client.Config{Socket: filepath.Join(dir, "slapd.sock")}); err != nil {
		return nil, err
	}
	return p, p.start(args...)
}

// start starts the process, for the first time or again.
func (p *peer) start(args ...string) (err error) {
	args = append(args, "--dir", p.dir, "--name", p.name, "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0")
	p.process, err = launch(p.dir, p.program, args...)
	return err
}

// await asks the peer for its status until ok accepts it.
func (p *peer) await(ctx context.Context, ok func(protocol.Status) bool) (protocol.Status, error) {
	for {
		status, err := p.Status(ctx)
		if err == nil && ok(status) {
			p.id = status.PeerID
			return status, nil
		}
		select {
		case <-p.exited:
			return status, fmt.Errorf("%s ended: %s", p.name, p.lastWords())
		case <-ctx.Done():
			return status, fmt.Errorf("%s: %w", p.name, context.Cause(ctx))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// startMesh starts a mesh of so many peers and waits until all is settled.
func startMesh(ctx context.Context, opt options, name string, size, partitions int) (_ *mesh, err error) {
	m := &mesh{opt: opt, dir: filepath.Join(opt.dir, name)}
	defer func() {
		if err != nil {
			m.stop()
		}
	}()
	offer := []string{"--partitions", strconv.Itoa(partitions)}
	first, err := newPeer(opt.slapd, "peer-1", filepath.Join(m.dir, "1"), append([]string{"init"}, offer...)...)
	if err != nil {
		return m, err
	}
	m.peers = append(m.peers, first)
	status, err := first.await(ctx, func(s protocol.Status) bool { return s.Quorum })
	if err != nil {
		return m, err
	}
	token, err := first.CreateToken(ctx, protocol.TokenInput{Uses: 1000})
	if err != nil {
		return m, err
	}
	m.at, m.token = status.Listen, token.Token
	for n := 2; n <= size; n++ {
		if _, err := m.join(strconv.Itoa(n), offer...); err != nil {
			return m, err
		}
	}
	return m, m.settle(ctx)
}

// join starts a peer that joins.
func (m *mesh) join(name string, flags ...string) (*peer, error) {
	args := append([]string{"join", m.at, "--token", m.token}, flags...)
	p, err := newPeer(m.opt.slapd, "peer-"+name, filepath.Join(m.dir, name), args...)
	if err == nil {
		m.peers = append(m.peers, p)
	}
	return p, err
}

// settle waits until all peers see one another and as many vote as should.
func (m *mesh) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	voters := map[bool]int{true: 5, false: min(3, len(m.peers))}[len(m.peers) >= 5]
	for _, p := range m.peers {
		status, err := p.await(ctx, func(s protocol.Status) bool {
			return s.Members == len(m.peers) && len(s.Voters) == voters && s.Quorum && s.Leader != ""
		})
		if err != nil {
			return fmt.Errorf("%w: it sees %d members, %d voters", err, status.Members, len(status.Voters))
		}
	}
	for {
		all, err := m.peers[0].Computers(ctx)
		if err == nil && len(all) == len(m.peers) {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// parts returns the peer that leads and one that votes but does not lead.
func (m *mesh) parts(ctx context.Context) (leader, follower *peer, err error) {
	status, err := m.peers[0].await(ctx, func(s protocol.Status) bool { return s.Leader != "" })
	if err != nil {
		return nil, nil, err
	}
	for _, p := range m.peers {
		switch {
		case p.id == status.Leader:
			leader = p
		case follower == nil:
			follower = p
		}
	}
	if leader == nil || follower == nil {
		return nil, nil, errors.New("no leader")
	}
	return leader, follower, nil
}

func (m *mesh) processes() []*process {
	var all []*process
	for _, p := range m.peers {
		all = append(all, p.process)
	}
	return all
}

// stop ends all peers.
func (m *mesh) stop() {
	var wg sync.WaitGroup
	for _, p := range m.peers {
		wg.Go(func() { p.end(syscall.SIGTERM) })
	}
	wg.Wait()
}
