package protocoltest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

func partition(n int) string { return "p" + strconv.Itoa(n) }

func address(n int) string { return "127.64.0." + strconv.Itoa(n+1) }

// Status implements [protocol.Fleet].
func (c *caller) Status(context.Context) (protocol.Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return protocol.Status{
		PeerID: "peer1", Name: "castle", Account: c.account, Mesh: "home", MeshID: "abcd", Epoch: 1,
		Role: protocol.RoleVoter, Leader: "peer1", Term: 2, CommitIndex: 42, Voters: []string{"peer1"},
		Quorum: true, Members: 1, Instances: len(c.instances), Listen: "127.0.0.1:7527", API: "127.0.0.1:7528",
		Grade: "bubblewrap", Version: "test", Started: c.Now, Whoami: c.whoami(),
		Warnings: []string{"one peer alone votes: if it is lost, the ledger is lost"},
	}, nil
}

// Members implements [protocol.Fleet].
func (c *caller) Members(context.Context) ([]protocol.Member, error) {
	return []protocol.Member{{
		PeerID: "peer1", Name: "castle", Address: "127.0.0.1:7527", Account: c.account, Role: protocol.RoleVoter,
		State: protocol.MemberAlive, Path: protocol.PathSelf, Labels: map[string]string{"country": "FR"}, Since: c.Now,
	}}, nil
}

// SetRole implements [protocol.Fleet].
func (c *caller) SetRole(ctx context.Context, peer string, role protocol.Role) (protocol.Member, error) {
	if err := c.operatorOn(peer); err != nil {
		return protocol.Member{}, err
	}
	members, err := c.Members(ctx)
	members[0].Role = role
	return members[0], err
}

// RemoveMember implements [protocol.Fleet].
func (c *caller) RemoveMember(_ context.Context, peer string) error { return c.operatorOn(peer) }

func (c *caller) operatorOn(peer string) error {
	switch {
	case !c.operator:
		return protocol.Errorf(protocol.ErrForbidden, "only an operator changes members")
	case peer != "peer1":
		return protocol.Errorf(protocol.ErrNotFound, "no peer %s: see \"slapd members\"", peer)
	}
	return nil
}

// Computers implements [protocol.Fleet].
func (c *caller) Computers(context.Context) ([]protocol.Computer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return []protocol.Computer{{
		Computer: "peer1", Name: "castle", Owner: c.castle.owner, Scope: c.castle.scope, Partitions: 10,
		Drained: c.castle.drained, Retired: c.castle.retired,
		Capacity: protocol.Needs{Millicores: 4000, Memory: 8 << 30, Disk: 100 << 30, Bandwidth: 1e9}, Reserved: c.reserved(),
		PartitionsFree: 10 - len(c.instances), Labels: c.castle.labels,
		Grade: "bubblewrap", Arch: "amd64", State: "online", Since: c.Now,
	}}, nil
}

// Leave implements [protocol.Fleet].
func (c *caller) Leave(_ context.Context, in protocol.LeaveInput) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.instances); n > 0 && !in.Force {
		return protocol.Errorf(protocol.ErrConflict, "leave: %d instances are placed here: destroy them, or leave with --force and lose them", n)
	}
	c.left = true
	return nil
}

// VerifyReleases implements [protocol.Software].
func (c *caller) VerifyReleases(_ context.Context, in protocol.VerifyReleasesInput) ([]protocol.VerifiedTree, error) {
	if !c.operator {
		return nil, protocol.Errorf(protocol.ErrForbidden, "verify: for operators of the mesh and for ann, to whom this peer belongs")
	}
	bad := protocol.VerifiedTree{
		Tree: strings.Repeat("b", 64), Releases: []string{"redis"}, Files: 3, Bytes: 3 << 20, State: protocol.TreeDamaged,
		Damage: []protocol.Damage{{Path: "usr/bin/redis-server", What: "has another content"}},
	}
	if in.Repair {
		bad.State = protocol.TreeRepaired
	}
	return []protocol.VerifiedTree{{Tree: strings.Repeat("a", 64), Releases: []string{"mariadb"}, Files: 2, Bytes: 1 << 20, State: protocol.TreeSound}, bad}, nil
}

// Releases implements [protocol.Software].
func (c *caller) Releases(context.Context) ([]protocol.Release, error) { return releases(), nil }

// Publish implements [protocol.Software].
func (c *caller) Publish(_ context.Context, in protocol.PublishInput) (protocol.Release, error) {
	return find(string(in.Profile))
}

// Supplies implements [protocol.Software].
func (c *caller) Supplies(context.Context) ([]protocol.Supply, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.supplies), nil
}

// Supply implements [protocol.Software].
func (c *caller) Supply(_ context.Context, in protocol.SupplyInput) (protocol.Supply, error) {
	r, err := find(in.Release)
	if err != nil {
		return protocol.Supply{}, err
	}
	if in.Computer != "" && in.Computer != "peer1" && in.Computer != "castle" {
		return protocol.Supply{}, protocol.Errorf(protocol.ErrNotFound, "no computer %s: see \"slapd computers\"", in.Computer)
	}
	if in.State == "" {
		in.State = protocol.SupplyAvailable
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := protocol.Supply{
		Computer: "peer1", ComputerName: "castle", Release: r.Name, ReleaseDigest: r.Digest,
		RequestedState: in.State, State: "building", Progress: "unpack 12 of 80 packages", Changed: c.Now,
	}
	c.supplies = append(slices.DeleteFunc(c.supplies, func(o protocol.Supply) bool { return o.Release == s.Release }), s)
	return s, nil
}

// CreateToken implements [protocol.People].
func (c *caller) CreateToken(_ context.Context, in protocol.TokenInput) (protocol.Token, error) {
	life := time.Hour
	if in.TTL != "" {
		var err error
		if life, err = time.ParseDuration(in.TTL); err != nil {
			return protocol.Token{}, protocol.Errorf(protocol.ErrInvalid, "ttl %q is no duration, such as 1h", in.TTL)
		}
	}
	t := protocol.Token{Role: in.Role, Account: in.Account, Uses: in.Uses, Created: c.Now, Expires: c.Now.Add(life)}
	t.Scopes, t.Project = in.Scopes, in.Project
	if t.Role == "" {
		t.Role = protocol.RoleVoter
	}
	if t.Account == "" {
		t.Account = c.account
	}
	t.Uses = max(t.Uses, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.till.known[t.Account] = true
	t.ID = "t" + strconv.Itoa(len(c.tokens)+1)
	c.tokens = append(c.tokens, t)
	t.Token = "slapd1-secret"
	t.Join = "slapd join 192.0.2.1:7527 --token " + t.Token
	return t, nil
}

// Tokens implements [protocol.People].
func (c *caller) Tokens(context.Context) ([]protocol.Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.tokens), nil
}

// RevokeToken implements [protocol.People].
func (c *caller) RevokeToken(_ context.Context, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.tokens, func(t protocol.Token) bool { return t.ID == id })
	if i < 0 {
		return protocol.Errorf(protocol.ErrNotFound, "no token %s: see \"slapd token list\"", id)
	}
	c.tokens[i].Revoked = true
	return nil
}

// Logs implements [protocol.Sessions]. It tells two lines; with Follow it then
// waits for the end of ctx.
func (c *caller) Logs(ctx context.Context, ref protocol.Ref, q protocol.LogQuery) (io.ReadCloser, error) {
	if _, err := c.Instance(ctx, ref); err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, "mariadbd: starting\nmariadbd: ready\n")
		if q.Follow {
			<-ctx.Done()
		}
		_ = w.Close()
	}()
	return r, nil
}

// Connect implements [protocol.Sessions]. Each port sends back what it is sent,
// until that is the word reset.
func (c *caller) Connect(ctx context.Context, ref protocol.Ref, in protocol.ConnectInput) (protocol.Conn, error) {
	i, err := c.Instance(ctx, ref)
	if err != nil {
		return nil, err
	}
	if _, err := i.Port(in.Port); err != nil {
		return nil, err
	}
	here, there := net.Pipe()
	go echo(protocol.Framed(there, there))
	return protocol.Framed(here, here), nil
}

func echo(c protocol.Conn) {
	buffer := make([]byte, protocol.MaxFrame)
	for {
		n, err := c.Read(buffer)
		if err == nil && strings.TrimSpace(string(buffer[:n])) != "reset" {
			_, err = c.Write(buffer[:n])
		}
		switch {
		case strings.TrimSpace(string(buffer[:n])) == "reset" || err != nil && !errors.Is(err, io.EOF):
			c.Reset()
			return
		case err != nil:
			_ = c.CloseWrite()
			_, _ = c.Read(buffer) // until the other end has closed
			_ = c.Close()
			return
		}
	}
}

// Exec implements [protocol.Sessions]. It knows the programs cat, false, echo,
// terminal, and sleep, which waits for the end of ctx.
func (c *caller) Exec(ctx context.Context, ref protocol.Ref, in protocol.ExecInput, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	if _, err := c.Instance(ctx, ref); err != nil {
		return 0, err
	}
	switch in.Argv[0] {
	case "cat":
		_, err := io.Copy(stdout, bufio.NewReader(stdin))
		return 0, err
	case "echo":
		_, err := fmt.Fprintln(stdout, strings.Join(in.Argv[1:], " "))
		return 0, err
	case "terminal": // tells what it has, and one more size
		_, err := fmt.Fprintln(stdout, *in.Terminal, <-in.Sizes)
		return 0, err
	case "false":
		_, err := fmt.Fprintln(stderr, "no")
		return 1, err
	case "sleep":
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return 0, protocol.Errorf(protocol.ErrNotFound, "exec %s: no such program in %s", in.Argv[0], ref.Reference)
}
