package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/lan"
)

// Who joins without an address, and who finds no peer where it was, looks for
// the mesh on the local network; peers that can be reached there answer.

// lookFor is how long who joins looks.
const lookFor = 3 * time.Second

// openDiscovery answers who looks, unless it is switched off or this peer
// listens on the loopback alone.
func (d *Daemon) openDiscovery() {
	at, ok := d.mesh.Addr().(*net.UDPAddr)
	if !ok || d.cfg.Socket != nil || *d.settings.NoDiscovery || at.IP.IsLoopback() {
		return
	}
	c := lan.Config{
		Digests: d.mesh.Digests,
		Port:    func() uint16 { return uint16(at.Port) },
		Open: func() (string, bool) {
			m, _ := d.books.View().Mesh()
			return m.Name, m.Open
		},
		Clock: d.cfg.Clock,
		Log:   d.log.With("part", "discovery"),
	}
	d.loops = append(d.loops, loop{"discovery", func(ctx context.Context) error { return lan.Answer(ctx, c) }})
}

// discover returns where peers of this mesh answer on the local network.
func (d *Daemon) discover(ctx context.Context) []string {
	at, ok := d.mesh.Addr().(*net.UDPAddr)
	if !ok || d.cfg.Socket != nil || *d.settings.NoDiscovery || at.IP.IsLoopback() {
		return nil
	}
	digest := d.mesh.Digest()
	found, err := lan.Find(ctx, &digest)
	if err != nil {
		d.log.Debug("nothing found on the local network", "err", err)
	}
	var out []string
	for _, f := range found {
		out = append(out, f.Address.String())
	}
	return out
}

// lookAround finds the address of a peer of the mesh that a token is for.
// Without a token it says which open meshes there are: whom to trust is for
// the user to say.
func lookAround(ctx context.Context, token string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	const name = "or name a peer: slapd join HOST[:PORT]"
	if token == "" {
		found, err := lan.Find(ctx, nil)
		if err != nil {
			return "", err
		}
		var lines []string
		for _, f := range found {
			lines = append(lines, fmt.Sprintf("open mesh %q answers: if you trust it, join it with slapd join '%s#%s'", f.Name, f.Address, mesh.Fingerprint(f.Digest)))
		}
		if len(lines) == 0 {
			return "", errors.New("join: no open mesh answers on the local network, and a private one answers only who has a token: give --token (slapd token create prints one, there), " + name)
		}
		return "", errors.New("join: " + strings.Join(lines, "; "))
	}
	t, err := mesh.ParseToken(token)
	if err != nil {
		return "", err
	}
	found, err := lan.Find(ctx, &t.CADigest)
	if err != nil {
		return "", fmt.Errorf("join: %w: %s", err, name)
	}
	if len(found) == 0 {
		return "", fmt.Errorf("join: no peer of the token's mesh answers on the local network within %s: does slapd run there, on this very network, without --no-discovery, and does no firewall, here or there, drop UDP port %d (nft add rule inet filter input udp dport %d accept)? %s",
			lookFor, lan.Port, lan.Port, "Otherwise name a peer: slapd join HOST[:PORT]")
	}
	return found[0].Address.String(), nil
}
