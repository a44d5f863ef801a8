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

// PeerUID returns the user who opened the Unix socket that r came through, as
// the kernel tells it. It is false for any other connection, and for requests
// that did not come through [Server.Serve]: whoever relies on it must refuse
// then.
func PeerUID(r *http.Request) (uid uint32, ok bool) {
	who, ok := r.Context().Value(credentialKey{}).(credential)
	return who.uid, ok
}

// credentialKey finds the credential of a call's connection.
type credentialKey struct{}

// A credential is who opened a Unix socket.
type credential struct{ uid uint32 }

// withCredential asks the kernel once for each connection.
func withCredential(ctx context.Context, c net.Conn) context.Context {
	if uid, ok := peerUID(c); ok {
		return context.WithValue(ctx, credentialKey{}, credential{uid})
	}
	return ctx
}
