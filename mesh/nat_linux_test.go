package mesh_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/nat"
)

// A place is where a peer of the table is: how its computer, and the boxes
// between it and the Internet, filter and translate.
type place struct {
	name  string
	boxes []string // nft rules of each translator, the outermost first
	v6    bool     // the computer has IPv6 only
	rules string   // nft rules of the computer itself
}

const (
	// natMasquerade keeps source ports where it can: each destination sees
	// the same port, and only who was sent to gets in.
	natMasquerade = `
		table ip nat { chain post { type nat hook postrouting priority 100; oifname "out" masquerade; }
		}
		table ip filter {
			chain incoming { type filter hook input priority 0; policy accept; iifname "out" ct state new drop; }
			chain through { type filter hook forward priority 0; policy accept; iifname "out" ct state new drop; }
		}`
	natSymmetric = `
		table ip nat { chain post { type nat hook postrouting priority 100; oifname "out" masquerade fully-random; }
		}
		table ip filter {
			chain incoming { type filter hook input priority 0; policy accept; iifname "out" ct state new drop; }
			chain through { type filter hook forward priority 0; policy accept; iifname "out" ct state new drop; }
		}`
	natFullCone = `
		table ip nat {
			chain pre { type nat hook prerouting priority -100; iifname "out" meta l4proto udp dnat to INNER; }
			chain post { type nat hook postrouting priority 100; oifname "out" masquerade; }
		}
		table ip filter { chain incoming { type filter hook input priority 0; policy accept; iifname "out" ct state new drop; }
		}`
	natAddress = `
		table ip nat {
			set sent { type ipv4_addr; flags dynamic,timeout; timeout 2m; }
			chain pre { type nat hook prerouting priority -100; iifname "out" meta l4proto udp ip saddr @sent dnat to INNER; }
			chain post { type nat hook postrouting priority 100; oifname "out" masquerade; }
			chain note { type filter hook forward priority -10; policy accept; iifname "inner" meta l4proto udp update @sent { ip daddr }; }
		}
		table ip filter {
			chain incoming { type filter hook input priority 0; policy accept; iifname "out" ct state new drop; }
			chain through { type filter hook forward priority 0; policy accept; iifname "out" ct state new ct status & dnat == 0 drop; }
		}`
	natNoUDP = natMasquerade + `
		table ip strict { chain through { type filter hook forward priority -20; policy accept; meta l4proto udp drop; }
		}`
	oneWay = `
		table inet filter { chain incoming { type filter hook input priority 0; policy accept; iifname "out" meta l4proto { udp, tcp } ct state new drop; }
		}`
)

var natPlaces = []place{
	{name: "public"},
	{name: "full cone", boxes: []string{natFullCone}},
	{name: "address", boxes: []string{natAddress}},
	{name: "port", boxes: []string{natMasquerade}},
	{name: "symmetric", boxes: []string{natSymmetric}},
	{name: "double", boxes: []string{natMasquerade, natMasquerade}},
	{name: "CGNAT", boxes: []string{natSymmetric, natMasquerade}},
	{name: "no UDP", boxes: []string{natNoUDP}},
	{name: "IPv6", v6: true},
	{name: "one-way", rules: oneWay},
}

// natWant says to what a pair must come at least. Not direct are a translator that gives
// each destination another port, opposite one that lets in only the port that
// it sent to, two of which one has no UDP, and two without a common protocol.
func natWant(a, b string) string {
	strict := func(x string) bool {
		return slices.Contains([]string{"port", "symmetric", "double", "CGNAT", "one-way"}, x)
	}
	random := func(x string) bool { return x == "symmetric" || x == "CGNAT" }
	open := func(x string) bool { return x == "public" }
	switch {
	case a == "no UDP" || b == "no UDP":
		if open(a) || open(b) {
			return "tcp"
		}
		return "relayed"
	case (a == "IPv6") != (b == "IPv6"):
		if open(a) || open(b) || a == "one-way" || b == "one-way" {
			return "direct" // they have both protocols
		}
		return "relayed"
	case random(a) && strict(b) || random(b) && strict(a):
		return "relayed"
	}
	return "direct"
}

// A natPeer is a process of this test binary in a namespace.
type natPeer struct {
	t    *testing.T
	seed string
	in   io.Writer
	out  *bufio.Reader
}

// peerEnv makes the test binary run as a peer.
const peerEnv = "SLAPMESH_NAT_PEER"

// prepare makes the state folder of a peer.
func prepare(t *testing.T, w *world) (dir string, peer mesh.PeerID) {
	t.Helper()
	dir = t.TempDir()
	id, err := mesh.LoadOrCreateIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.credentials(id).Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir, id.ID()
}

func (l *lab) start(t *testing.T, dir, host string, port int, seeds ...string) *natPeer {
	t.Helper()
	c := exec.CommandContext(t.Context(), "ip", "netns", "exec", l.hosts[host], os.Args[0])
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%d|%s", peerEnv, dir, port, strings.Join(seeds, ",")))
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if logs := os.Getenv("SLAPMESH_NAT_LOGS"); logs != "" {
		f, err := os.Create(filepath.Join(logs, strings.ReplaceAll(t.Name()+"-"+host, "/", "_")))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		c.Stderr = f
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // which ends it
		_ = c.Wait()
	})
	p := &natPeer{t: t, in: in, out: bufio.NewReader(out)}
	p.seed = p.line()
	return p
}

func (p *natPeer) line() string {
	p.t.Helper()
	s, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Errorf("a peer ended: %v", err)
	}
	return strings.TrimSpace(s)
}

func (p *natPeer) ask(words ...string) string {
	p.t.Helper()
	_, _ = fmt.Fprintln(p.in, strings.Join(words, " "))
	return p.line()
}

// runPeer is the process of a natPeer: it prints its descriptor, then answers
// "alive N" when it sees N peers, "nat PEER SECONDS" with what is said to stand before it, and "measure PEER SECONDS" with the path to it.
func runPeer(env string) error {
	dir, rest, _ := strings.Cut(env, "|")
	port, seeds, _ := strings.Cut(rest, "|")
	id, err := mesh.LoadOrCreateIdentity(dir)
	if err != nil {
		return err
	}
	credentials, err := mesh.LoadCredentials(dir)
	if err != nil {
		return err
	}
	if door, ok := strings.CutPrefix(seeds, "door "); ok {
		return examineFrom(id, credentials, door)
	}
	m, err := mesh.Open(mesh.Config{
		Admitter: openDoor{}, Identity: id, Credentials: credentials, Listen: ":" + port, Host: id.ID().Short(), Clock: time.Now,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := &peer{Mesh: m}
	p.echo(mesh.KindRPC)
	for s := range strings.SplitSeq(seeds, ",") {
		if raw, err := hex.DecodeString(s); err == nil && len(raw) > 0 {
			d, err := mesh.ParseDescriptor(raw, m.ID())
			if err != nil {
				return err
			}
			m.AddSeeds([]mesh.Descriptor{d})
		}
	}
	go func() { _ = m.Run(ctx) }()
	for _, d := range m.Seeds() {
		if d.Peer == m.Self() {
			fmt.Println(hex.EncodeToString(d.Encoded()))
		}
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var what, argument string
		var patience int
		_, _ = fmt.Sscan(in.Text(), &what, &argument, &patience)
		switch what {
		case "alive":
			began := time.Now()
			for fmt.Sprint(alive(p.Members())) != argument && time.Since(began) < time.Minute {
				time.Sleep(20 * time.Millisecond)
			}
			fmt.Println(alive(p.Members()))
		case "nat":
			began := time.Now()
			for p.member(mesh.PeerID(argument)).NAT != nat.KindSymmetric && time.Since(began) < time.Duration(patience)*time.Second {
				time.Sleep(20 * time.Millisecond)
			}
			fmt.Println(p.member(mesh.PeerID(argument)).NAT)
		case "measure":
			fmt.Println(measure(p, mesh.PeerID(argument), patience))
		}
	}
	cancel()
	return m.Close()
}

// openDoor invites everybody, and admits nobody.
type openDoor struct{ mesh.Admitter }

func (openDoor) Inspect(context.Context, mesh.Admission) (mesh.Invitation, error) {
	return mesh.Invitation{Role: "computer", Account: "ann"}, nil
}

// examineFrom prints the kind of NAT that who joins at a door finds out.
func examineFrom(id *mesh.Identity, credentials mesh.Credentials, door string) error {
	digest, err := credentials.CADigest()
	if err != nil {
		return err
	}
	fingerprint := mesh.Fingerprint(digest)
	found, err := mesh.Examine(context.Background(), mesh.JoinConfig{
		Identity: id, Address: door, Fingerprint: &fingerprint, Name: "new", Clock: time.Now,
	})
	if err != nil {
		return err
	}
	fmt.Println(found.Kind)
	return nil
}

// measure dials a peer as soon as it is heard of, and speaks over one stream
// until the path is the best that may come, or for so many seconds: "PATH DIAL UPGRADE FIRST", the
// times in milliseconds since it was heard of.
func measure(p *peer, to mesh.PeerID, patience int) string {
	for p.member(to).ID == "" {
		time.Sleep(time.Millisecond)
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var c net.Conn
	for c == nil {
		var err error
		if c, err = p.Dial(ctx, to, mesh.KindRPC); err != nil && ctx.Err() != nil {
			return fmt.Sprintf("none 0 0 %v", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	defer func() { _ = c.Close() }()
	dialled := time.Since(began)
	first, path, since := p.member(to).Path, mesh.Path(""), began
	word := make([]byte, 4)
	for time.Since(began) < time.Duration(patience)*time.Second {
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := c.Write(word); err != nil {
			return fmt.Sprintf("broken 0 0 %v", err)
		}
		if _, err := io.ReadFull(c, word); err != nil {
			return fmt.Sprintf("broken 0 0 %v", err)
		}
		if now := p.member(to).Path; now != path {
			path, since = now, time.Now()
		}
		if path == mesh.PathDirect || path == mesh.PathPunched {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Sprintf("%s %d %d %s", path, dialled.Milliseconds(), since.Sub(began).Milliseconds(), first)
}

// TestNAT puts peers behind real translators and firewalls, a mesh of its own
// for each pair, and prints the path to which each pair comes while a stream
// runs. SLAPMESH_NAT=all takes every pair, SLAPMESH_NAT=port,symmetric that one.
func TestNAT(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: short")
	}
	type pair struct{ a, b string }
	pairs := []pair{
		{"port", "port"},
		{"address", "symmetric"},
		{"symmetric", "symmetric"},
		{"double", "full cone"},
		{"CGNAT", "CGNAT"},
		{"no UDP", "port"},
		{"public", "no UDP"},
		{"IPv6", "port"},
		{"one-way", "address"},
		{"IPv6", "IPv6"},
	}
	atOnce := 5
	if only := os.Getenv("SLAPMESH_NAT"); strings.Contains(only, ",") {
		a, b, _ := strings.Cut(only, ",")
		pairs = []pair{{a, b}}
	} else if only == "all" {
		pairs = nil
		for shift := range natPlaces {
			for i, p := range natPlaces {
				pairs = append(pairs, pair{p.name, natPlaces[(i+shift)%len(natPlaces)].name})
			}
		}
	}
	l := newLab(t)
	var mu sync.Mutex
	results := map[pair]string{}
	for round := range slices.Chunk(pairs, atOnce) {
		var wg sync.WaitGroup
		for i, tc := range round {
			wg.Go(func() {
				got := l.measure(t, tc.a, tc.b, 7600+i)
				mu.Lock()
				defer mu.Unlock()
				results[tc] = got
			})
		}
		wg.Wait()
	}
	t.Run("kinds", func(t *testing.T) { l.kinds(t, 7600+atOnce) })
	for _, tc := range pairs {
		var path, first string
		var dialled, upgraded int
		_, _ = fmt.Sscan(results[tc], &path, &dialled, &upgraded, &first)
		best := path
		if path == "punched" {
			best = "direct"
		}
		if want := natWant(tc.a, tc.b); best != want && (want != "relayed" || best != "direct") {
			t.Errorf("%s to %s: %s, want %s", tc.a, tc.b, results[tc], want)
		}
		t.Logf("| %-9s | %-9s | %-7s | %5d ms | %-7s after %5d ms |", tc.a, tc.b, first, dialled, path, upgraded)
	}
}

// measure runs a mesh of two relays and a pair.
func (l *lab) measure(t *testing.T, a, b string, port int) (result string) {
	t.Helper()
	t.Run(a+", "+b, func(t *testing.T) {
		w := newWorld(t)
		var dirs []string
		var id mesh.PeerID
		for range 4 {
			var dir string
			dir, id = prepare(t, w)
			dirs = append(dirs, dir)
		}
		r1 := l.start(t, dirs[0], "r1", port)
		r2 := l.start(t, dirs[1], "r2", port, r1.seed)
		from := l.start(t, dirs[2], "a"+a, port+100, r1.seed, r2.seed)
		if got := from.ask("alive", "3"); got != "3" {
			t.Errorf("a peer sees %s of 3 alive", got)
		}
		patience := 30 // on a machine that does much else
		switch natWant(a, b) {
		case "relayed":
			patience = 6 // nothing better may come
		case "tcp":
			patience = 12
		}
		_, _ = fmt.Fprintln(from.in, "measure", id, patience)
		to := l.start(t, dirs[3], "b"+b, port+100, r1.seed, r2.seed)
		result = from.line()
		for _, p := range []*natPeer{r1, r2, from, to} {
			if got := p.ask("alive", "4"); got != "4" {
				t.Errorf("a peer sees %s of 4 alive", got)
			}
		}
	})
	return result
}

// kinds lets somebody look from each place whether to join, and run there: both
// tell what kind of NAT is in between.
func (l *lab) kinds(t *testing.T, port int) {
	t.Helper()
	w := newWorld(t)
	var dirs []string
	for range 4 {
		dir, _ := prepare(t, w)
		dirs = append(dirs, dir)
	}
	r1 := l.start(t, dirs[0], "r1", port)
	r2 := l.start(t, dirs[1], "r2", port, r1.seed)
	for _, r := range []*natPeer{r1, r2} {
		if got := r.ask("alive", "2"); got != "2" {
			t.Fatalf("a peer sees %s of 2 alive", got)
		}
	}
	for place, want := range map[string]string{
		"public": "none", "full cone": "open-cone", "address": "open-cone", "port": "restricted-cone", "symmetric": "symmetric",
		"double": "restricted-cone", "CGNAT": "symmetric", "no UDP": "unknown", "one-way": "firewall",
	} {
		door := fmt.Sprintf("door 203.0.113.2:%d", port)
		got := ""
		for range 5 { // who joins waits for a second at most: on a busy machine that is short
			if got = l.start(t, dirs[2], "a"+place, 0, door).seed; got == want {
				break
			}
		}
		if got != want {
			t.Errorf("who joins from %s is told %q, want %q", place, got, want)
		}
	}
	inside := l.start(t, dirs[3], "bsymmetric", port, r1.seed, r2.seed)
	for _, p := range []*natPeer{inside, r1} {
		if got := p.ask("nat", w.peerOf(t, dirs[3]), "30"); got != "symmetric" {
			t.Errorf("who runs behind a symmetric NAT is said to be behind %q", got)
		}
	}
}

// peerOf is the id of the peer of a state folder.
func (*world) peerOf(t *testing.T, dir string) string {
	t.Helper()
	id, err := mesh.LoadOrCreateIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	return string(id.ID())
}
