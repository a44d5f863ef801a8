package rest

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/slapmesh/slapmesh/protocol"
)

// A Door decides who comes in through one listener.
type Door struct {
	// Authenticate returns the Service of whoever sent r, or refuses. It is
	// called for each call, before its body is read.
	Authenticate func(r *http.Request) (protocol.Service, error)

	// AnyHost turns off the check of the Host header. A Unix socket has no
	// name that a web page could be made to resolve to it.
	AnyHost bool

	// Hosts are names, beside localhost and plain addresses, under which this
	// listener is called.
	Hosts []string
}

// checkHost refuses names that are not ours: a page in the user's browser may
// have its own name resolve to a local address, and would then be allowed to
// read the answers.
func (d Door) checkHost(host string) error {
	if d.AnyHost {
		return nil
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.ToLower(strings.Trim(name, "[]")), ".")
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" || slices.Contains(d.Hosts, name) {
		return nil
	}
	return protocol.Errorf(protocol.ErrForbidden, "host %.80q is not a name of this API: call it as localhost", host)
}

// BearerToken returns the token that r carries, or refuses.
func BearerToken(r *http.Request) (string, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", protocol.Errorf(protocol.ErrUnauthorized,
			"no token: send one as \"Authorization: Bearer TOKEN\" (make it with \"slapd token create --role user\")")
	}
	return token, nil
}

// connKey finds the connection of a call.
type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}
