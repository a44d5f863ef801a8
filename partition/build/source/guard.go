package source

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// A guard keeps profiles, which anybody may have written, from having a builder
// ask what only it can reach: services of the computer itself, of its own
// network, of the mesh, and what clouds tell their computers. It looks at the
// address that is connected to, after the name was looked up and any redirect
// was followed.
type guard struct {
	private bool            // the computer's owner allows it all
	trusted map[string]bool // HOST:PORT that the owner has named himself: proxies, registries
	proxy   func(*url.URL) (*url.URL, error)
}

// A PrivateError says that a source is where no stranger's profile may lead.
type PrivateError struct{ Host, Address string }

func (e *PrivateError) Error() string {
	return fmt.Sprintf("%s is %s, which is no public address: a profile may not have a computer ask its own network, unless its owner allows it (slapd run --private-sources)",
		e.Host, e.Address)
}

// errLocalFile says the same of files.
var errLocalFile = errors.New("a profile may not name files of the computer that builds it, unless its owner allows it (slapd run --private-sources)")

// guard returns the one for what this computer's owner has set: the proxies and
// registries that he names are asked wherever they are.
func (f *Fetcher) guard() *guard {
	set := map[string]string{}
	for _, entry := range f.Environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			set[strings.ToUpper(name)] = value
		}
	}
	proxies := httpproxy.Config{HTTPProxy: set["HTTP_PROXY"], HTTPSProxy: set["HTTPS_PROXY"], NoProxy: set["NO_PROXY"]}
	g := &guard{private: f.Private, trusted: map[string]bool{}, proxy: proxies.ProxyFunc()}
	for _, text := range []string{f.NPM, proxies.HTTPProxy, proxies.HTTPSProxy} {
		if text != "" && !strings.Contains(text, "://") {
			text = "http://" + text
		}
		if u, err := url.Parse(text); err == nil && u.Host != "" {
			g.trusted[withPort(u)] = true
		}
	}
	return g
}

func withPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// reserved are addresses that are not the Internet's, beside those that netip
// knows; see the IANA's special-purpose address registries.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // behind a provider's NAT
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"),          // IPv4 in IPv6, of old
	netip.MustParsePrefix("64:ff9b::/96"),   // and translated
	netip.MustParsePrefix("64:ff9b:1::/48"), //
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), // among them Teredo, which has IPv4 in it
	netip.MustParsePrefix("2002::/16"), // 6to4, too
	netip.MustParsePrefix("fec0::/10"),
}

// isPublic tells addresses of the Internet from all others.
func isPublic(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// dial connects to an address, unless it is refused.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 30 * time.Second}
	if !g.private && !g.trusted[address] {
		d.ControlContext = func(_ context.Context, _, at string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(at)
			if err != nil || !isPublic(to.Addr()) {
				return finalError{&PrivateError{address, at}}
			}
			return nil
		}
	}
	return d.DialContext(ctx, network, address)
}

// transport asks web servers, through the owner's proxy if there is one.
func (g *guard) transport() http.RoundTripper {
	return &http.Transport{
		DialContext: g.dial, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 30 * time.Second, IdleConnTimeout: 10 * time.Second,
		Proxy: func(r *http.Request) (*url.URL, error) { return g.through(r.Context(), r.URL) },
	}
}

// through returns the proxy for a URL. What a proxy is asked for, it looks up
// itself: so this looks too, as far as it can.
func (g *guard) through(ctx context.Context, to *url.URL) (*url.URL, error) {
	proxy, err := g.proxy(to)
	if err != nil || proxy == nil || g.private || g.trusted[withPort(to)] {
		return proxy, err
	}
	host := to.Hostname()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil && (strings.EqualFold(host, "localhost") || !strings.Contains(host, ".")) {
		return nil, finalError{&PrivateError{to.Host, "a name of the local network"}}
	}
	for _, a := range addresses {
		if !isPublic(a) {
			return nil, finalError{&PrivateError{to.Host, a.String()}}
		}
	}
	return proxy, nil
}
