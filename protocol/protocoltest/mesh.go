// Package protocoltest has a mesh that exists in memory only, for the tests of
// what speaks the protocol. It ships as API so that clients written by others
// can be tested without a daemon.
package protocoltest

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// A Mesh answers like a real one of one computer. A request advances each time
// that it is watched: waiting, building, starting, started. The release "slow"
// stays in building; "broken" goes into error; every other release that is not
// in the list is unknown. Computer and releases belong to the account
// "operator". As the time stands still, nothing is billed but the request.
type Mesh struct {
	// Now is the time of every change. Set it before the first call.
	Now time.Time

	mu        sync.Mutex
	instances map[protocol.Ref]protocol.Instance
	tokens    []protocol.Token
	till      till
	register  register
	supplies  []protocol.Supply
	castle    castle
	changed   chan struct{} // closed at each change
	left      bool
}

// New returns a Mesh with three releases and nothing else.
func New() *Mesh {
	return &Mesh{
		Now:       time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		instances: map[protocol.Ref]protocol.Instance{},
		changed:   make(chan struct{}),
		till:      newTill(),
		castle:    newCastle(),
		register:  newRegister(),
	}
}

// Left reports whether somebody made the peer leave.
func (m *Mesh) Left() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.left
}

// As returns the Service of an account.
func (m *Mesh) As(account string, operator bool) protocol.Service {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.till.known[account] = true
	m.register.know(protocol.User{Account: account, Operator: operator, Created: m.Now})
	return &caller{Mesh: m, account: account, operator: operator}
}

// A caller is one account on a Mesh.
type caller struct {
	*Mesh
	account  string
	operator bool
}

var _ protocol.Service = (*caller)(nil)

func (c *caller) key(ref protocol.Ref) (protocol.Ref, error) {
	ref.Account = cmp.Or(ref.Account, c.account)
	c.mu.Lock()
	defer c.mu.Unlock()
	role := c.roleIn(c.register.projects[ref.Account])
	if ref.Account != c.account && !c.operator && (role == "" || role == protocol.ProjectViewer) {
		return ref, protocol.Errorf(protocol.ErrForbidden, "%s belongs to account %s", ref.Reference, ref.Account)
	}
	return ref, nil
}

func releases() []protocol.Release {
	schema := json.RawMessage(`{"type":"object","properties":{"database":{"type":"string"}}}`)
	var out []protocol.Release
	for _, name := range []string{"broken", "mariadb", "slow"} {
		out = append(out, protocol.Release{
			Name: name, Version: "1.0", Title: "Release " + name, Digest: "sha256:" + name,
			Types: []string{"default"}, Parameters: schema, Published: true,
		})
	}
	return out
}

func find(name string) (protocol.Release, error) {
	all := releases()
	if i := slices.IndexFunc(all, func(r protocol.Release) bool { return r.Name == name || r.Digest == name }); i >= 0 {
		return all[i], nil
	}
	return protocol.Release{}, protocol.Errorf(protocol.ErrNotFound, "no release %.80s: see \"slapd releases\"", name)
}
