package tunnel_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/tunnel"
)

func service(address, peer string) tunnel.Service {
	return tunnel.Service{Address: netip.MustParseAddrPort(address), Peer: mesh.PeerID(peer)}
}

func ExamplePlan() {
	have := []tunnel.Service{
		service("127.64.0.1:3306", "ann"),
		service("127.64.0.2:6379", "ann"),
		service("127.64.0.3:5432", "bob"),
	}
	want := []tunnel.Service{
		service("127.64.0.1:3306", "ann"),
		service("127.64.0.3:5432", "eve"),
		service("127.64.0.4:80", "bob"),
		service("10.0.0.1:80", "bob"), // nothing of ours
	}
	for _, step := range tunnel.Plan(want, have) {
		fmt.Println(step)
	}
	// Output:
	// close 127.64.0.2:6379
	// move 127.64.0.3:5432 to eve
	// open 127.64.0.4:80 to bob
}

func FuzzHeader(f *testing.F) {
	for _, a := range []string{"127.64.0.1:3306", "127.127.255.255:1"} {
		data, err := tunnel.EncodeHeader(tunnel.Want{Address: netip.MustParseAddrPort(a)})
		if err != nil {
			f.Fatal(err)
		}
		if got, err := tunnel.ReadHeader(bytes.NewReader(data)); err != nil || got.Address.String() != a {
			f.Fatal(got, err)
		}
		f.Add(data)
		f.Add(data[:len(data)-1])
	}
	f.Add([]byte("\xff\xff"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		want, err := tunnel.ReadHeader(bytes.NewReader(data))
		a := want.Address
		if err == nil && (!tunnel.Network.Contains(a.Addr()) || a.Port() == 0) {
			t.Errorf("%x: %s", data, a)
		}
	})
}

func TestHeaderRefusesOtherAddresses(t *testing.T) {
	for _, a := range []string{"127.0.0.1:22", "10.0.0.1:80", "127.64.0.1:0", "[::1]:80", "127.128.0.1:1"} {
		data, err := tunnel.EncodeHeader(tunnel.Want{Address: netip.MustParseAddrPort(a)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tunnel.ReadHeader(bytes.NewReader(data)); err == nil {
			t.Errorf("%s was accepted", a)
		}
	}
}
