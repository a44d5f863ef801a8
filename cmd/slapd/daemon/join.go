package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/protocol"
)

// JoinOptions says which mesh to join.
type JoinOptions struct {
	Settings

	// Address is HOST[:PORT][#FINGERPRINT] of any peer of the mesh; "" has one
	// looked for on the local network.
	Address string

	// Token is what admits to a private mesh, "" to an open one.
	Token string

	// Check finds out whether joining would succeed, and changes nothing.
	Check bool

	// Told is called with what was found out before anything is asked for,
	// and, unless that is all, once more when this computer is admitted. Nil:
	// nobody is told.
	Told func(protocol.JoinReport)

	// Waits is called again and again while an operator has yet to decide. Nil:
	// that is an error. The id is this peer's, which people compare.
	Waits func(id string, since, until time.Time)

	// Socket asks for admission, if set. It is not closed.
	Socket net.PacketConn
}

// Join has this computer admitted to a mesh, and returns peers to start with.
// [Open] then runs it. Who is a member of that very mesh already may join
// again, which finds it again wherever its peers have gone. No token is used
// unless all that can be known before says that it will not be in vain.
func Join(ctx context.Context, cfg Config, opt JoinOptions) (_ *mesh.JoinResult, err error) {
	if opt.Address == "" {
		if opt.Address, err = lookAround(ctx, opt.Token); err != nil {
			return nil, err
		}
	}
	join := mesh.JoinConfig{Socket: opt.Socket, Clock: cfg.Clock, Addresses: opt.Advertise}
	if err := readInvitation(&join, opt.Address, opt.Token); err != nil {
		return nil, err
	}
	if opt.Told == nil {
		opt.Told = func(protocol.JoinReport) {}
	}
	if opt.Check {
		f := &folder{path: cfg.Dir}
		if err := checkFolder(cfg.Dir); err != nil {
			return nil, err
		}
		if join.Known, err = f.knownCA(); err != nil {
			return nil, err
		}
		if join.Identity, err = mesh.NewIdentity(rand.Reader); err != nil {
			return nil, err
		}
		join.Name = opt.withDefaults().Name
		_, err := examine(ctx, &join, opt)
		return nil, f.otherMesh(err)
	}
	f, err := openFolder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if join.Known, err = f.knownCA(); err != nil {
		return nil, err
	}
	if opt.Settings, err = f.remember(opt.Settings); err != nil {
		return nil, err
	}
	join.Name = opt.Name
	if join.Identity, err = mesh.LoadOrCreateIdentity(f.path); err != nil {
		return nil, err
	}
	report, err := examine(ctx, &join, opt)
	if err != nil {
		return nil, f.otherMesh(err)
	}
	result, err := await(ctx, join, opt.Waits)
	if err != nil {
		return nil, err
	}
	// Whoever is admitted is a member, whatever was so before.
	if err := errors.Join(result.Save(f.path), removeIfThere(f.file(removedFile))); err != nil {
		return nil, err
	}
	report.Admitted, report.Role, report.Account, report.Mesh = true, protocol.Role(result.Role), result.Account, result.Credentials.MeshName
	opt.Told(report)
	return result, nil
}

// askAgain is how often who waits for an operator asks again.
const askAgain = 5 * time.Second

// await asks for admission until it is granted or refused. Who is told to wait
// goes on although a peer that it asks is away for a moment.
func await(ctx context.Context, join mesh.JoinConfig, waits func(id string, since, until time.Time)) (*mesh.JoinResult, error) {
	var told *mesh.Waiting
	for {
		result, err := mesh.Join(ctx, join)
		waiting, wait := errors.AsType[*mesh.Waiting](err)
		switch {
		case wait && waits != nil:
			told = waiting
		case told == nil || err == nil || errors.Is(err, mesh.ErrRefused):
			return result, err
		}
		waits(string(told.Peer), told.Since, told.Until)
		again := time.NewTimer(askAgain)
		select {
		case <-ctx.Done():
			again.Stop()
			return nil, fmt.Errorf("join: %w: it is known until %s; the same line again goes on waiting", told, told.Until.UTC().Format(time.RFC3339))
		case <-again.C:
		}
	}
}

// examine finds out whether joining would succeed, tells, and makes join go
// where it would.
func examine(ctx context.Context, join *mesh.JoinConfig, opt JoinOptions) (report protocol.JoinReport, err error) {
	if join.Socket == nil {
		var free func() error
		if free, err = bindFor(ctx, join, opt.withDefaults()); err != nil {
			return report, err
		}
		// The socket is wanted by Open, or by who runs later.
		defer func() {
			err = errors.Join(err, free())
			join.Socket = nil
		}()
	}
	found, err := mesh.Examine(ctx, *join)
	report = joinReport(found, err)
	opt.Told(report)
	if err == nil {
		join.Address = found.Address
	}
	return report, err
}

// bindFor takes the ports that the peer will run on, so that one that is not
// free is told before a token is used. Who listens on the loopback alone and
// joins elsewhere asks from another port.
func bindFor(ctx context.Context, join *mesh.JoinConfig, s Settings) (free func() error, err error) {
	api, err := listenAPI(ctx, s.API)
	if err != nil {
		return nil, err
	}
	if err := api.Close(); err != nil {
		return nil, err
	}
	socket, err := mesh.Bind(s.Listen)
	if err != nil {
		return nil, err
	}
	if bound, ok := socket.LocalAddr().(*net.UDPAddr); ok && bound.IP.IsLoopback() && !onLoopback(join.Address) {
		if err := socket.Close(); err != nil {
			return nil, err
		}
		if socket, err = mesh.Bind(":0"); err != nil {
			return nil, err
		}
	}
	join.Socket = socket
	return socket.Close, nil
}

func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip, notIP := netip.ParseAddr(host)
	return err == nil && (host == "localhost" || notIP == nil && ip.IsLoopback())
}

// carriedOver is what a path to a door goes over.
func carriedOver(p mesh.Path) string {
	if p == mesh.PathTCP {
		return "tcp"
	}
	return "udp"
}

// joinReport is a diagnosis in the words of the wire.
func joinReport(d *mesh.Diagnosis, err error) protocol.JoinReport {
	out := protocol.JoinReport{Tries: []protocol.JoinTry{}, NAT: "unknown", Kind: "unknown", Reachable: "unknown"}
	if err != nil {
		out.Problem = err.Error()
	}
	if d == nil {
		return out
	}
	for _, t := range d.Tries {
		try := protocol.JoinTry{Address: t.Address, Network: carriedOver(t.Path), Answers: t.Err == nil, Seconds: t.After.Seconds()}
		if t.Err != nil {
			try.Problem = t.Err.Error()
		}
		out.Tries = append(out.Tries, try)
	}
	if d.Address == "" {
		return out
	}
	out.Address, out.Path, out.Mesh = d.Address, protocol.Path(d.Path), d.MeshName
	out.ClockAhead, out.Local, out.Observed = d.Ahead.Seconds(), d.Local, d.Observed
	switch {
	case d.Translated():
		out.NAT = "yes"
	case d.Local != "":
		out.NAT = "none"
	}
	out.Kind = string(d.Kind)
	switch {
	case d.Reached:
		out.Reachable = "yes"
	case d.Knocked:
		out.Reachable = "no"
	}
	out.Role, out.Account, out.Uses = protocol.Role(d.Invitation.Role), d.Invitation.Account, d.Invitation.Uses
	if !d.Invitation.Expires.IsZero() {
		out.Expires = &d.Invitation.Expires
	}
	return out
}

// checkFolder says whether a folder could become, or is, the state folder of a
// peer, and changes nothing there.
func checkFolder(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	f := &folder{path: dir}
	if _, err := os.Stat(f.file("version")); err == nil {
		if err := f.acquire(); err != nil {
			return err
		}
		return errors.Join(f.checkLayout(), f.Close())
	}
	for at := dir; ; at = filepath.Dir(at) {
		is, err := os.Stat(at)
		if err == nil && !is.IsDir() {
			err = syscall.ENOTDIR
		} else if err == nil {
			err = mayWrite(at)
		}
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at):
			return fmt.Errorf("state folder %s: %s: %w; choose another with --dir", dir, at, err)
		}
	}
}

// readInvitation reads the address and token that the user was given.
func readInvitation(join *mesh.JoinConfig, address, token string) (err error) {
	if join.Address, join.Fingerprint, err = mesh.ParseAddress(address); err != nil {
		return err
	}
	if token != "" {
		t, err := mesh.ParseToken(token)
		if err != nil {
			return err
		}
		join.Token = &t
	}
	if join.Token == nil && join.Fingerprint == nil {
		return errors.New("join: a token is needed (ask for the line that \"slapd token create\" prints), or, for an open mesh or one where one may ask, the fingerprint: HOST:PORT#FINGERPRINT")
	}
	return nil
}

// knownCA is the digest of the CA of the mesh that a folder belongs to, or nil.
func (f *folder) knownCA() (*[32]byte, error) {
	c, err := mesh.LoadCredentials(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // it belongs to none
	}
	if err != nil {
		return nil, err
	}
	digest, err := c.CADigest()
	return &digest, err
}

// otherMesh says whose folder it is where a mesh is not that.
func (f *folder) otherMesh(err error) error {
	if !errors.Is(err, mesh.ErrOtherMesh) {
		return err
	}
	c, loadErr := mesh.LoadCredentials(f.path)
	if loadErr != nil {
		return errors.Join(err, loadErr)
	}
	return fmt.Errorf("state folder %s: belongs to mesh %s (%s), the invitation is to another: choose another folder with --dir: %w", f.path, c.MeshName, c.MeshID(), mesh.ErrOtherMesh)
}
