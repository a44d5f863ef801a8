package portmap_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slapmesh/slapmesh/mesh/portmap"
)

// fakeRouter grants ports, or not.
type fakeRouter struct {
	mu     sync.Mutex
	fail   bool
	mapped int
	given  int // back
}

func (*fakeRouter) Name() string { return "fake" }

func (r *fakeRouter) Map(_ context.Context, port uint16, _ time.Duration) (netip.AddrPort, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail {
		return netip.AddrPort{}, errors.New("no")
	}
	r.mapped++
	return netip.AddrPortFrom(netip.MustParseAddr("203.0.113.1"), port), nil
}

func (r *fakeRouter) Unmap(context.Context, uint16) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.given++
	return nil
}

// A mapping is refreshed as long as it is wanted, given up when the router
// fails, found again, and given back at the end.
func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeRouter{}
		var mu sync.Mutex
		var told []string
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			portmap.Keep(ctx, 7527, []portmap.Finder{
				func(context.Context) (portmap.Router, error) { return nil, errors.New("not this one") },
				func(context.Context) (portmap.Router, error) { return r, nil },
			}, func(at netip.AddrPort, by string) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, fmt.Sprint(at, by))
			}, slog.New(slog.DiscardHandler))
		}()
		time.Sleep(3 * time.Hour)
		r.mu.Lock()
		if r.mapped < 5 || r.mapped > 8 {
			t.Errorf("mapped %d times in three hours", r.mapped)
		}
		r.fail = true
		r.mu.Unlock()
		time.Sleep(time.Hour)
		mu.Lock()
		if last := told[len(told)-1]; last != "invalid AddrPort" {
			t.Errorf("told last %q", last)
		}
		mu.Unlock()
		r.mu.Lock()
		r.fail = false
		r.mu.Unlock()
		time.Sleep(time.Hour)
		mu.Lock()
		if last := told[len(told)-1]; last != "203.0.113.1:7527fake" {
			t.Errorf("told last %q", last)
		}
		mu.Unlock()
		cancel()
		<-done
		if r.given != 1 {
			t.Errorf("given back %d times", r.given)
		}
	})
}

// A fake gateway speaks NAT-PMP on an address of the loopback.
func TestPMP(t *testing.T) {
	at := netip.MustParseAddr("127.64.199.1")
	socket, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 5351)))
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	var mu sync.Mutex
	mapped := map[string]uint32{} // protocol and port: lifetime
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 64)
		for {
			n, from, err := socket.ReadFromUDP(b)
			if err != nil {
				return
			}
			answer := []byte{0, 128 + b[1], 0, 0, 0, 0, 0, 1}
			switch {
			case n == 2 && b[1] == 0:
				answer = append(answer, 203, 0, 113, 7)
			case n == 12:
				mu.Lock()
				mapped[fmt.Sprint(b[1], " ", binary.BigEndian.Uint16(b[4:]))] = binary.BigEndian.Uint32(b[8:])
				mu.Unlock()
				answer = append(answer, b[4], b[5], 0x4e, 0x20) // 20000 outside
				answer = append(answer, b[8:12]...)
			}
			_, _ = socket.WriteToUDP(answer, from)
		}
	}()
	defer func() {
		_ = socket.Close()
		<-done
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := portmap.PMPAt(at)(ctx)
	if err != nil {
		t.Fatal(err)
	}
	outside, err := r.Map(ctx, 7527, time.Hour)
	if err != nil || outside.String() != "203.0.113.7:20000" {
		t.Errorf("mapped %s, %v", outside, err)
	}
	mu.Lock()
	if mapped["1 7527"] != 3600 || mapped["2 7527"] != 3600 {
		t.Errorf("the gateway has %v", mapped)
	}
	mu.Unlock()
	if err := r.Unmap(ctx, 7527); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if mapped["1 7527"] != 0 || mapped["2 7527"] != 0 {
		t.Errorf("the gateway still has %v", mapped)
	}
}

const description = `<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor></specVersion>
<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><friendlyName>fake</friendlyName><UDN>uuid:1</UDN>
<serviceList><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId>
<controlURL>/control</controlURL><eventSubURL>/events</eventSubURL><SCPDURL>/scpd.xml</SCPDURL></service></serviceList></device></root>`

// A fake internet gateway that knows mappings without end only.
func TestUPnP(t *testing.T) {
	var mu sync.Mutex
	mapped := map[string]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/control" {
			_, _ = io.WriteString(w, description)
			return
		}
		body, _ := io.ReadAll(r.Body)
		field := func(name string) string {
			_, rest, _ := strings.Cut(string(body), "<"+name+">")
			value, _, _ := strings.Cut(rest, "</")
			return value
		}
		action := strings.Trim(r.Header.Get("SOAPAction"), `"`)
		_, action, _ = strings.Cut(action, "#")
		w.Header().Set("Content-Type", "text/xml")
		answer := ""
		mu.Lock()
		defer mu.Unlock()
		key := field("NewProtocol") + " " + field("NewExternalPort")
		switch action {
		case "GetExternalIPAddress":
			answer = "<NewExternalIPAddress>203.0.113.8</NewExternalIPAddress>"
		case "AddPortMapping":
			if field("NewLeaseDuration") != "0" {
				w.WriteHeader(http.StatusInternalServerError)
				_, _ = io.WriteString(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode>`+
					`<faultstring>UPnPError</faultstring><detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>725</errorCode>`+
					`<errorDescription>OnlyPermanentLeasesSupported</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>`)
				return
			}
			mapped[key] = field("NewInternalClient") + ":" + field("NewInternalPort")
		case "DeletePortMapping":
			delete(mapped, key)
		}
		_, _ = fmt.Fprintf(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">`+
			`<s:Body><u:%sResponse xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:1">%s</u:%sResponse></s:Body></s:Envelope>`, action, answer, action)
	}))
	defer server.Close()
	location, err := url.Parse(server.URL + "/description.xml")
	if err != nil {
		t.Fatal(err)
	}
	r, err := portmap.UPnPAt(location)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	outside, err := r.Map(t.Context(), 7527, time.Hour)
	if err != nil || outside.String() != "203.0.113.8:7527" {
		t.Errorf("mapped %s, %v", outside, err)
	}
	mu.Lock()
	if mapped["UDP 7527"] != "127.0.0.1:7527" || mapped["TCP 7527"] != "127.0.0.1:7527" {
		t.Errorf("the gateway has %v", mapped)
	}
	mu.Unlock()
	if err := r.Unmap(t.Context(), 7527); err != nil {
		t.Error(err)
	}
	if len(mapped) != 0 {
		t.Errorf("the gateway still has %v", mapped)
	}
}

func TestGateway(t *testing.T) {
	for _, tc := range []struct{ table, want string }{
		{"", "invalid IP"},
		{"Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\neth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n", "192.168.1.1"},
		{"eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n", "invalid IP"},
		{"eth0\t00000000\tnonsense\t0003\t0\t0\t0\t00000000\t0\t0\t0\n", "invalid IP"},
	} {
		if got, err := portmap.GatewayIn(strings.NewReader(tc.table)); got.String() != tc.want || (err == nil) != got.IsValid() {
			t.Errorf("%q: %s, %v", tc.table, got, err)
		}
	}
}
