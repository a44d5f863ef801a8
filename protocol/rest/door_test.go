package rest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/protocoltest"
	"github.com/slapmesh/slapmesh/protocol/rest"
)

func TestDoor(t *testing.T) {
	service := protocoltest.New().As("ann", false)
	d := rest.Door{
		Hosts: []string{"castle"},
		Authenticate: func(r *http.Request) (protocol.Service, error) {
			token, err := rest.BearerToken(r)
			if err == nil && token != "right" {
				err = protocol.Errorf(protocol.ErrUnauthorized, "token is unknown, used or expired: make another with \"slapd token create\"")
			}
			return service, err
		},
	}
	h := rest.New(rest.Config{}).Handler(d)
	for _, tc := range []struct {
		name, host, authorization, path string
		status                          int
	}{
		{"right", "localhost:7528", "Bearer right", "/v1/status", 200},
		{"lower case", "localhost:7528", "bearer right", "/v1/status", 200},
		{"address", "127.0.0.1:7528", "Bearer right", "/v1/status", 200},
		{"IPv6", "[::1]:7528", "Bearer right", "/v1/status", 200},
		{"no port", "localhost", "Bearer right", "/v1/status", 200},
		{"named", "castle:7528", "Bearer right", "/v1/status", 200},
		{"rebound name", "evil.example:7528", "Bearer right", "/v1/status", 403},
		{"lookalike", "localhost.evil.example", "Bearer right", "/v1/status", 403},
		{"no host", "", "Bearer right", "/v1/status", 403},
		{"no token", "localhost", "", "/v1/status", 401},
		{"wrong token", "localhost", "Bearer wrong", "/v1/status", 401},
		{"empty token", "localhost", "Bearer ", "/v1/status", 401},
		{"other scheme", "localhost", "Basic cmlnaHQ=", "/v1/status", 401},
		{"unknown path", "localhost", "", "/v1/nothing", 401},
		{"document", "localhost", "", "/openapi.json", 200},
		{"document, rebound", "evil.example", "", "/openapi.json", 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), "GET", tc.path, http.NoBody)
			r.Host = tc.host
			if tc.authorization != "" {
				r.Header.Set("Authorization", tc.authorization)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tc.status {
				t.Errorf("%d %s, want %d", w.Code, w.Body, tc.status)
			}
			if (w.Code == 401) != strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("WWW-Authenticate: %q", w.Header().Get("WWW-Authenticate"))
			}
		})
	}
}
