package mesh_test

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/slapmesh/slapmesh/mesh"
)

// seeds adds value, cuts of it and changes in it.
func seeds(f *testing.F, value []byte) {
	f.Helper()
	f.Add(value)
	f.Add([]byte{})
	for _, n := range []int{1, len(value) / 2, len(value) - 1} {
		f.Add(value[:n])
		changed := slices.Clone(value)
		changed[n] ^= 0x41
		f.Add(changed)
	}
}

func FuzzToken(f *testing.F) {
	for _, s := range []string{"", "slapd1-", "slapd2-x", testToken().String(), testToken().String()[:30], strings.Repeat("a", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		token, err := mesh.ParseToken(s)
		if err != nil {
			return
		}
		if again, err := mesh.ParseToken(token.String()); err != nil || again != token {
			t.Errorf("%q: %v, %v", s, again, err)
		}
		if token.String() != strings.ToLower(strings.TrimSpace(s)) {
			t.Errorf("%q and %q are one token", s, token)
		}
	})
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"", "host", "host:1", "[::1]:7527#x", "a#" + mesh.Fingerprint{}.String()} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		address, _, err := mesh.ParseAddress(s)
		if err != nil {
			return
		}
		if again, _, err := mesh.ParseAddress(address); err != nil || again != address {
			t.Errorf("%q: %q, %v", s, again, err)
		}
	})
}

func testDescriptor(tb testing.TB) mesh.Descriptor {
	tb.Helper()
	d, err := mesh.SignDescriptor(newIdentity(tb), "test", mesh.Descriptor{
		Name: "p1", Addresses: []string{"10.0.0.1:7527", "[2001:db8::1]:7527", "example.com:1"}, Host: "here", Seq: 7,
		Relays: []mesh.PeerID{newIdentity(tb).ID()}, NoRelay: true,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func FuzzDescriptor(f *testing.F) {
	seeds(f, testDescriptor(f).Encoded())
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := mesh.ParseDescriptor(data, "test")
		if err != nil {
			return
		}
		if !bytes.Equal(d.Encoded(), data) || len(d.Peer) != 32 || len(d.Addresses) > 8 {
			t.Errorf("%x: %+v", data, d)
		}
	})
}

func FuzzKnownPeers(f *testing.F) {
	data, err := cbor.Marshal(map[int]any{1: 1, 2: "test", 3: [][]byte{testDescriptor(f).Encoded(), {1, 2}}})
	if err != nil {
		f.Fatal(err)
	}
	if all, err := mesh.ParseKnown(data, "test"); err != nil || len(all) != 1 {
		f.Fatal(all, err)
	}
	seeds(f, data)
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = mesh.ParseKnown(data, "test") })
}

func FuzzJoinRequest(f *testing.F) {
	data, err := cbor.Marshal(map[int]any{1: 1, 2: make([]byte, 16), 3: "p1", 4: 1 << 60, 5: "voter", 6: []string{"10.0.0.1:7527"}})
	if err != nil {
		f.Fatal(err)
	}
	if err := mesh.ParseJoinRequest(data); err != nil {
		f.Fatal(err)
	}
	seeds(f, data)
	f.Fuzz(func(_ *testing.T, data []byte) { _ = mesh.ParseJoinRequest(data) })
}

func FuzzJoinReply(f *testing.F) {
	data, err := cbor.Marshal(map[int]any{1: 1, 2: 1 << 60, 4: []byte("certificate"), 5: "test", 6: "voter", 7: "ann", 8: 1, 9: [][]byte{{1}}})
	if err != nil {
		f.Fatal(err)
	}
	if err := mesh.ParseJoinReply(data); err != nil {
		f.Fatal(err)
	}
	seeds(f, data)
	f.Fuzz(func(_ *testing.T, data []byte) { _ = mesh.ParseJoinReply(data) })
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02\x61a"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Add([]byte("\x00\x00\x00\x05\x61"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		var v any
		_ = mesh.ReadFrame(bytes.NewReader(data), 1<<10, &v)
	})
}

func FuzzCA(f *testing.F) {
	data, err := newWorld(f).ca.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	seeds(f, data)
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = mesh.ParseCA(data) })
}

func FuzzSealedCA(f *testing.F) {
	dir, holder := f.TempDir(), newIdentity(f)
	if err := newWorld(f).ca.Save(dir, holder); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "ca.key"))
	if err != nil {
		f.Fatal(err)
	}
	seeds(f, data)
	f.Fuzz(func(_ *testing.T, data []byte) { _ = mesh.OpenCA(data, holder) })
}

func FuzzVoucher(f *testing.F) {
	ca, peer := newWorld(f).ca, newIdentity(f).ID()
	good := mesh.Vouch(ca, peer, true, time.Unix(1e9, 0))
	seeds(f, good)
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, _, err := mesh.ParseVoucher(ca, peer, data); err == nil && !bytes.Equal(data, good) {
			t.Errorf("%x passes for the word of the CA", data)
		}
	})
}

func FuzzProof(f *testing.F) {
	f.Add("")
	f.Add(mesh.Proof([32]byte{1}))
	f.Fuzz(func(t *testing.T, name string) {
		if mesh.Proven(name, [32]byte{2}) {
			t.Errorf("%q proves a digest that nobody knows", name)
		}
	})
}

func TestDescriptor(t *testing.T) {
	d := testDescriptor(t)
	if got, err := mesh.ParseDescriptor(d.Encoded(), "test"); err != nil || got.Name != "p1" || got.Peer != d.Peer {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := mesh.ParseDescriptor(d.Encoded(), "other"); err == nil {
		t.Error("a descriptor of another mesh was read")
	}
	if _, err := mesh.ParseDescriptor(make([]byte, 600), "test"); err == nil {
		t.Error("600 bytes were read")
	}
	// Addresses that do not fit are left out; the rest is still signed.
	id := newIdentity(t)
	long := mesh.Descriptor{Name: strings.Repeat("n", 63), Host: strings.Repeat("h", 32)}
	for range 8 {
		long.Addresses = append(long.Addresses, strings.Repeat("a", 100)+":7527")
	}
	got, err := mesh.SignDescriptor(id, "test", long)
	if err != nil || len(got.Encoded()) > 512 || len(got.Addresses) == 0 {
		t.Errorf("%d bytes, %d addresses, %v", len(got.Encoded()), len(got.Addresses), err)
	}
	if _, err := mesh.ParseDescriptor(got.Encoded(), "test"); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]mesh.Descriptor{
		"name": {Name: "a\nb"}, "host": {Host: strings.Repeat("h", 33)}, "address": {Addresses: []string{"no port"}},
	} {
		if _, err := mesh.SignDescriptor(id, "test", bad); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

// Loopback addresses of another host are not ours to dial.
func TestCandidates(t *testing.T) {
	d := mesh.Descriptor{Addresses: []string{"10.0.0.1:1", "127.0.0.1:1"}, Host: "there"}
	if got := mesh.Candidates(d, "10.0.0.2:5", "here"); !slices.Equal(got, []string{"10.0.0.2:5", "10.0.0.1:1"}) {
		t.Errorf("%v", got)
	}
	if got := mesh.Candidates(d, "10.0.0.1:1", "there"); !slices.Equal(got, []string{"10.0.0.1:1", "127.0.0.1:1"}) {
		t.Errorf("%v", got)
	}
}

func FuzzPathRequest(f *testing.F) {
	seeds(f, mesh.PathRequest(1, strings.Repeat("a", 32), 7))
	f.Fuzz(func(t *testing.T, data []byte) {
		peer, err := mesh.ParsePathRequest(data)
		if err != nil || peer == "" {
			return
		}
		if _, err := mesh.ParsePeerID(peer); err != nil {
			t.Error(err)
		}
	})
}

func FuzzSeen(f *testing.F) {
	seeds(f, mesh.SeenDatagram(netip.MustParseAddrPort("203.0.113.9:7527"))[1:])
	seeds(f, mesh.SeenDatagram(netip.MustParseAddrPort("[2001:db8::1]:7527"))[1:])
	f.Fuzz(func(t *testing.T, data []byte) {
		at, ok := mesh.ParseSeen(data)
		if ok && !bytes.Equal(mesh.SeenDatagram(at)[1:], data) && !at.Addr().Is4In6() {
			t.Errorf("%x is read as %s", data, at)
		}
	})
}

func FuzzSignal(f *testing.F) {
	key := []byte("a key that both ends know")
	seeds(f, mesh.MakeSignal(key, 1, 7))
	f.Fuzz(func(t *testing.T, data []byte) {
		kind, number, ok := mesh.ParseSignal(key, data)
		if ok && !bytes.Equal(mesh.MakeSignal(key, kind, number), data) {
			t.Errorf("%x is read as %d, %d", data, kind, number)
		}
		if _, _, ok := mesh.ParseSignal([]byte("another key"), data); ok {
			t.Errorf("%x proves anything", data)
		}
	})
}
